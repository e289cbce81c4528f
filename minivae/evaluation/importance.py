"""The likelihood of images under a model, by importance sampling (Burda et al. 2016).

    log p(x) >= E log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x),  z_k ~ q(z | x)

The right side is the evidence lower bound for K = 1, rises with K, and tends to log p(x). A model may have several proposals
in place of q(z | x), such as one for each class (models.vae.Proposal): then it is the logarithm of the mean of their means,
K samples of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from minivae.device import Device, device_of
from minivae.evaluation.evaluate import batch_size
from minivae.models import VAE
from minivae.models.vae import Proposal
from minivae.ops.batch import Images
from minivae.ops.importance import GROUP, draw, log_mean, merge
from minivae.ops.reparameterize import EVALUATE, IMPORTANCE, Noise
from minivae.parallel.group import ALONE, Group
from minivae.tensor import no_grad

PROPOSALS = 64      # added to a noise's stream for every proposal after the first: their draws are independent


class Estimate(NamedTuple):
    """What importance sampling says of each image.

    Attributes:
        nll: (images,) float64, -log p(x) in nats, or what stands for it where the likelihood is no density.
        effective: (images,) float64, the effective number of samples, from 1 to as many as were drawn: where it is near
            1 a single sample makes up the estimate, and p(x) is probably larger.
    """

    nll: np.ndarray
    effective: np.ndarray


def estimate(model: VAE, images: Images, samples: int, *, seed: int = 0, first: int = 0, limit: int | None = None,
             rows: int | None = None, progress: Callable[[int], None] = lambda decoded: None,
             group: Group = ALONE) -> Estimate:
    """Estimate the likelihood of every image.

    Args:
        model: its batch norms need their fixed-point statistics; it is left in evaluation.
        samples: codes drawn an image, >= 1, from each of the model's proposals.
        seed: of the draws, and of the pixels where they are binarized: those that evaluate.score() sees.
        first: the number of the first sample; samples of other numbers are independent of these.
        limit: images, the first ones; None for all.
        rows: codes that are weighed at a time, a multiple of GROUP; None for the device's own. On a CPU the estimate has the
            same bits for any; memory grows with it.
        progress: told after each piece how many codes it has decoded.
        group: the processes that share the images; all get the whole estimate.
    """
    model.eval()
    row_bytes, found = model.pixels * model.dtype.itemsize, [np.empty((2, 0))]
    with no_grad():
        for start, size in images.ranges(batch_size(model), limit, group):
            x, example = images.batch(start, size, Noise(seed, 0, EVALUATE))
            states = []
            for number, proposal in enumerate(model.proposals(x)):
                codes = rows or rows_at_a_time(model.device, row_bytes * proposal.decoded)
                noise = Noise(seed, first, IMPORTANCE + PROPOSALS * number)
                states.append(model.device.to_host(_weigh(proposal, x, example, samples, codes, noise, progress)))
            log_p, count = log_mean(np.stack(states, axis=1), samples)
            found.append(np.stack([-log_p, count]))
    return Estimate(*np.concatenate(group.exchange(np.concatenate(found, axis=1)), axis=1))


def rows_at_a_time(device: Device, row_bytes: int) -> int:
    """How many rows of so many bytes to decode at a time: what stays in a CPU's cache, or fills a GPU."""
    return max(1, device.column_bytes // (row_bytes * GROUP)) * GROUP


def _weigh(proposal: Proposal, x, example, samples: int, rows: int, noise: Noise, progress):
    """The state, see ops.importance.log_mean, of images x after so many samples of a proposal."""
    state = device_of(x).empty((len(x), 4), x.dtype)
    for images, these in plan(len(x), samples, rows):
        some, chosen = _part(proposal.heads, images), _part(x, images)
        z, ratio = draw(some, _part(example, images), len(these), noise._replace(step=noise.step + these.start))
        cost = proposal.cost(z, chosen)
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
