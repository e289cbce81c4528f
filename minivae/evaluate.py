"""What a trained model makes of images that it has not seen, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from minivae import fixed_point
from minivae.models import VAE
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.tensor import no_grad

BATCH = 1000            # images at a time where nothing is trained


class Score(NamedTuple):
    """Mean cost an image and its two parts, in nats.

    Attributes:
        error: share of the images whose most probable class is not theirs; None where there are no classes.
    """

    total: float
    reconstruction: float
    kl: float
    error: float | None = None


def score(model: VAE, images: DeviceImages, seed: int = 0, labels: np.ndarray | None = None) -> Score:
    """The mean cost over all of `images`, with one draw of the code an image.

    Args: see costs.
    """
    sums, missed = np.zeros(2), 0
    for reconstruction, kl, wrong in costs(model, images, seed, labels):
        sums += [float(part.sum(dtype=np.float64)) for part in (reconstruction, kl)]
        missed += 0 if wrong is None else int(wrong.sum())
    reconstruction, kl = (sums / images.count).tolist()
    return Score(reconstruction + kl, reconstruction, kl, None if labels is None else missed / images.count)


def costs(model: VAE, images: DeviceImages, seed: int = 0, labels: np.ndarray | None = None) -> Iterator[tuple]:
    """What the images cost, a batch after the other, in nats, on the host.

    Args:
        model: its batch norms need their fixed-point statistics; it is left in evaluation.
        seed: of the draws: the same seed gives the same costs.
        labels: (images,), on the host, where the model knows of classes: the costs are those of unlabelled images, and
            the labels are what its predictions are compared with.

    Yields:
        (reconstruction, KL, wrong): arrays (rows,); the last is whether the most probable class is not the label, None
        without labels.
    """
    model.eval()
    noise = Noise(seed, 0, EVALUATE)
    for start, size in images.ranges(batch_size(model)):
        with no_grad():
            x, example = images.batch(start, size, noise)
            cost = model.cost(x, example, noise)
            wrong = None if labels is None else model.classify(x).argmax(1) != labels[start:start + size]
        yield model.device.to_host(cost.reconstruction), model.device.to_host(cost.kl), wrong


def batch_size(model: VAE) -> int:
    """Images at a time: as many as make BATCH rows of the decoder."""
    return max(1, BATCH // model.draws)


def fix_statistics(model: VAE, images: DeviceImages, *, seed: int = 0, limit: int | None = None,
                   most: int | None = None) -> fixed_point.Passes:
    """Compute the fixed-point statistics of batch norm over `images`, or over `limit` of them drawn at random;
    labels are withheld, as they will be where the statistics are used.

    Args:
        seed: of the codes' noise and of which images are drawn.
        most: passes at most, see fixed_point.compute.
    """

    def run():
        for start, size in images.ranges(batch_size(model), limit):
            noise = Noise(seed, 1, EVALUATE)
            model.cost(*images.batch(start, size, noise, seed=seed, epoch=0), noise)
            yield

    return fixed_point.compute(model, run, most=most)
