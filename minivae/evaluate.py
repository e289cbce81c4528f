"""What a trained model costs on images that it has not seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivae import fixed_point
from minivae.models import VAE
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.tensor import no_grad

BATCH = 1000            # images at a time where nothing is trained


class Score(NamedTuple):
    """Mean cost an image and its two parts, in nats."""

    total: float
    reconstruction: float
    kl: float


def score(model: VAE, images: DeviceImages, seed: int = 0) -> Score:
    """The mean cost over all of `images`, with one draw of the code an image.

    Args:
        model: its batch norms need their fixed-point statistics; it is left in evaluation.
        seed: of the draws: the same seed gives the same cost.
    """
    model.eval()
    sums = np.zeros(2)
    with no_grad():
        for start, size in images.ranges(BATCH):
            noise = Noise(seed, 0, EVALUATE)
            cost = model.cost(*images.batch(start, size, noise), noise)
            sums += [float(model.device.to_host(part).sum(dtype=np.float64)) for part in cost[1:]]
    reconstruction, kl = sums / images.count
    return Score(reconstruction + kl, reconstruction, kl)


def fix_statistics(model: VAE, images: DeviceImages, *, seed: int = 0, limit: int | None = None,
                   most: int | None = None) -> fixed_point.Passes:
    """Compute the fixed-point statistics of batch norm over `images`, or over `limit` of them drawn at random.

    Args:
        seed: of the codes' noise and of which images are drawn.
        most: passes at most, see fixed_point.compute.
    """

    def run():
        for start, size in images.ranges(BATCH, limit):
            noise = Noise(seed, 1, EVALUATE)
            model.cost(*images.batch(start, size, noise, seed=seed, epoch=0), noise)
            yield

    return fixed_point.compute(model, run, most=most)
