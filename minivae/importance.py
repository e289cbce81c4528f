"""The likelihood of images under a model, by importance sampling (Burda et al. 2016).

    log p(x) >= E log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x),  z_k ~ q(z | x)

The right side is the evidence lower bound for K = 1, rises with K, and tends to log p(x).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from minivae.device import Device
from minivae.evaluate import batch_size
from minivae.models import VAE
from minivae.ops.batch import DeviceImages
from minivae.ops.importance import GROUP, draw, log_mean, merge
from minivae.ops.reparameterize import EVALUATE, IMPORTANCE, Noise
from minivae.tensor import no_grad


class Estimate(NamedTuple):
    """What importance sampling says of each image.

    Attributes:
        nll: (images,) float64, -log p(x) in nats, or what stands for it where the likelihood is no density.
        effective: (images,) float64, the effective number of samples, from 1 to as many as were drawn: where it is near
            1 a single sample makes up the estimate, and p(x) is probably larger.
    """

    nll: np.ndarray
    effective: np.ndarray


def estimate(model: VAE, images: DeviceImages, samples: int, *, seed: int = 0, first: int = 0, limit: int | None = None,
             rows: int | None = None, progress: Callable[[int], None] = lambda decoded: None) -> Estimate:
    """Estimate the likelihood of every image.

    Args:
        model: its batch norms need their fixed-point statistics; it is left in evaluation.
        samples: codes drawn an image, >= 1.
        seed: of the draws, and of the pixels where they are binarized: those that evaluate.score() sees.
        first: the number of the first sample; samples of other numbers are independent of these.
        limit: images, the first ones; None for all.
        rows: codes decoded at a time, a multiple of GROUP; None for the device's own. On a CPU the estimate has the
            same bits for any; memory grows with it.
        progress: told after each piece how many codes it has decoded.
    """
    model.eval()
    rows = rows or rows_at_a_time(model.device, model.pixels * model.dtype.itemsize)
    nll, effective = [], []
    with no_grad():
        for start, size in images.ranges(batch_size(model), limit):
            x, example = images.batch(start, size, Noise(seed, 0, EVALUATE))
            state = _weigh(model, x, example, samples, rows, Noise(seed, first, IMPORTANCE), progress)
            log_p, count = log_mean(model.device.to_host(state), samples)
            nll.append(-log_p)
            effective.append(count)
    return Estimate(np.concatenate(nll), np.concatenate(effective))


def rows_at_a_time(device: Device, row_bytes: int) -> int:
    """How many rows of so many bytes to decode at a time: what stays in a CPU's cache, or fills a GPU."""
    return max(1, device.column_bytes // (row_bytes * GROUP)) * GROUP


def _weigh(model: VAE, x, example, samples: int, rows: int, noise: Noise, progress):
    """The state, see ops.importance.log_mean, of images x after so many samples."""
    heads = model.encode(x).data
    state = model.device.empty((len(x), 4), model.dtype)
    for images, these in plan(len(x), samples, rows):
        some, chosen = _part(heads, images), _part(x, images)
        z, ratio = draw(some, _part(example, images), len(these), noise._replace(step=noise.step + these.start))
        cost = model.reconstruction(z, chosen)
        merge(state[images.start:images.stop], cost.data, ratio, these.start)
        progress(len(images) * len(these))
    return state


def _part(array, rows: range):
    """Some rows of an array; a copy, since they may begin where no kernel can read."""
    return array if len(rows) == len(array) else array[rows.start:rows.stop].copy()


def plan(images: int, samples: int, rows: int) -> Iterator[tuple[range, range]]:
    """(images, samples) of the pieces, each of about `rows` rows at most, that together are every sample of every image.

    Samples begin at multiples of GROUP, in rising order for each image. Whole groups are never in a piece with the rest
    that makes none, so that every group is folded in the same way whatever `rows` is.
    """
    whole = samples // GROUP * GROUP
    for begin, end in ((0, whole), (whole, samples)):
        if begin == end:
            continue
        parts = -(-(end - begin) // rows)
        groups = -(-(end - begin) // GROUP)
        bounds = [min(end, begin + groups * part // parts * GROUP) for part in range(parts + 1)]
        together = max(1, rows // (end - begin))
        for first in range(0, images, together):
            for low, high in zip(bounds[:-1], bounds[1:], strict=True):
                yield range(first, min(first + together, images)), range(low, high)
