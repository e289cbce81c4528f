"""What a trained model costs on images that it has not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minivae.evaluation import fixed_point
from minivae.models import VAE, ClassVAE
from minivae.ops.batch import Images
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.parallel.group import ALONE, Group
from minivae.tensor import no_grad

BATCH = 1000            # rows at a time where nothing is trained, or a whole part of it that makes at most
NUMBERS = 1 << 24       # so many numbers in the widest layer, 64 MiB; but at least
FEWEST = 50             # images, since at first batch norm takes their own moments
LEAST = 4               # rows for each process of a batch for statistics; of half of one each still has two


class Score(NamedTuple):
    """Mean cost an image and its two parts, in nats.

    Attributes:
        error: share of the images whose most probable class is not theirs; None where there are no classes.
    """

    total: float
    reconstruction: float
    kl: float
    error: float | None = None


def score(model: VAE, images: Images, seed: int = 0, labels: np.ndarray | None = None, group: Group = ALONE) -> Score:
    """The mean cost over all of `images`, with one draw of the code an image.

    Args:
        model: its batch norms need their fixed-point statistics; it is left in evaluation.
        seed: of the draws: the same seed gives the same cost.
        labels: (images,), on the host, where the model knows of classes: the costs are those of unlabelled images, and
            the labels are what its predictions are compared with, but for -1, which is none.
        group: the processes that share the work; all get the same score.
    """
    reconstruction, kl = (float(part.mean()) for part in costs(model, images, seed, group=group))
    known = [] if labels is None else mistaken(model, images, labels, seed, group=group)
    error = float(np.mean(known)) if len(known) else None
    return Score(reconstruction + kl, reconstruction, kl, error)


def costs(model: VAE, images: Images, seed: int = 0, limit: int | None = None,
          group: Group = ALONE) -> tuple[np.ndarray, np.ndarray]:
    """(reconstruction, KL) of every image, or of the first `limit`, in nats, each (images,) float64; see score()."""
    model.eval()
    noise, found = Noise(seed, 0, EVALUATE), [np.empty((2, 0))]
    with no_grad():
        for start, size in images.ranges(batch_size(model), limit, group):
            cost = model.cost(*images.batch(start, size, noise), noise)
            found.append(np.stack([model.device.to_host(part).astype(np.float64) for part in cost[1:]]))
    reconstruction, kl = np.concatenate(group.exchange(np.concatenate(found, axis=1)), axis=1)
    return reconstruction, kl


def mistaken(model: ClassVAE, images: Images, labels: np.ndarray, seed: int = 0, limit: int | None = None,
             group: Group = ALONE) -> np.ndarray:
    """Whether the most probable class is not the label, of every image that has one, or of those of the first `limit`; see
    score()."""
    model.eval()
    found = [model.classify(images.batch(start, size, Noise(seed, 0, EVALUATE))[0]).argmax(1)
             for start, size in images.ranges(batch_size(model), limit, group)]
    labels = labels[:limit]
    return (np.concatenate(sum(group.exchange(found), [])) != labels)[labels >= 0]


def batch_size(model: VAE) -> int:
    """Images at a time where nothing is trained: as many as make BATCH rows of the decoder and are no burden for the memory.
    The same on every machine, so that costs are."""
    most = min(BATCH, NUMBERS // model.widest) // model.draws
    return max(FEWEST, next((size for size in range(most, 0, -1) if BATCH % size == 0), 0))


def fix_statistics(model: VAE, images: Images, *, seed: int = 0, limit: int | None = None,
                   most: int | None = None, between: Callable[[], None] | None = None,
                   group: Group = ALONE) -> fixed_point.Passes:
    """Compute the fixed-point statistics of batch norm over `images`, or over `limit` of them drawn at random;
    labels are withheld, as they will be where the statistics are used.

    Args:
        seed: of the codes' noise and of which images are drawn.
        most: passes at most, see fixed_point.compute.
        between: called before every batch; may raise to leave early, and the statistics are then to be computed anew.
        group: the processes that share every batch; all get the same statistics.
    """
    least = LEAST * group.size
    together, limit = max(batch_size(model), least), limit and max(limit, least)

    def run():
        for start, size in images.ranges(together, limit):
            if between:
                between()
            noise, (begin, end) = Noise(seed, 1, EVALUATE), group.take(size)
            model.cost(*images.batch(start + begin, end - begin, noise, seed=seed, epoch=0), noise)
            yield

    return fixed_point.compute(model, run, most=most, group=group)
