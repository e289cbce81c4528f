"""Importance sampling: draws of many codes an image with their weights, and the running sum of those
(kernels/importance.cu). No operations of the graph: nothing is trained with them."""

from __future__ import annotations

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.work import elements, rows

GROUP = 256         # samples that are folded into a state at a time; kernels/importance.cu says the same


def draw(heads, example, samples: int, noise: Noise):
    """Codes z ~ q(z | x) = N(mu, sigma^2), so many an image, and how much likelier the prior N(0, I) makes them.

    Args:
        heads: (images, 2 * codes): mu in the first half of the columns, rho in the second; sigma = softplus(rho).
        example: (images,) int32, each image's index in the data set.
        samples: an image, >= 1.
        noise: of the first sample; each further one has the next step. A sample's noise does not depend on how many
            others are drawn with it.

    Returns:
        z: (images * samples, codes), an image's samples one below the other.
        ratio: (images * samples,), log p(z) - log q(z | x), in nats.

    Raises:
        ValueError: an odd number of columns.
    """
    (count, width), device = heads.shape, device_of(heads)
    if width % 2:
        raise ValueError(f"draw: heads hold mu and rho, an even number of columns, not {width}")
    codes, drawn = width // 2, count * samples
    z, ratio = device.empty((drawn, codes), heads.dtype), device.empty((drawn,), heads.dtype)
    launch("importance_sample", elements(drawn * codes), heads, example, z, ratio, count, samples, codes, *noise)
    return z, ratio


def merge(state, cost, ratio, seen: int) -> None:
    """Add samples of log weight ratio - cost to the running sums of their images.

    The result has the same bits whether all samples come at once or in several calls, of which all but the last bring
    multiples of GROUP.

    Args:
        state: (images, 4), see log_mean(); overwritten.
        cost: (images * samples,), -log p(x | z).
        ratio: (images * samples,), as draw() gives it.
        seen: samples an image that are in the state already; 0 begins it.

    Raises:
        ValueError: shapes that do not fit, or a call that does not begin at a multiple of GROUP.
    """
    if (state.ndim != 2 or state.shape[1] != 4 or cost.ndim != 1 or cost.shape != ratio.shape
            or (len(cost) % len(state) if len(state) else len(cost))):
        raise ValueError(f"merge: takes a state (images, 4), cost and ratio (images * samples,); got {state.shape}, "
                         f"{cost.shape} and {ratio.shape}")
    if seen % GROUP:
        raise ValueError(f"merge: {seen} samples are there, but more can only be added to multiples of {GROUP}")
    if not len(state):
        return
    images, samples = len(state), len(cost) // len(state)
    launch("importance_merge", rows(images, min(samples, GROUP)), cost, ratio, state, images, samples, seen)


def log_mean(state: np.ndarray, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """What a state on the host stands for.

    Args:
        state: (images, 4) or, for several proposals whose means are averaged, (images, proposals, 4): the largest log weight;
            the sum of the weights divided by the largest, and what was lost of that sum; the sum of their squares.
        samples: an image and proposal.

    Returns:
        (images,) float64 each: log of the mean weight, and the effective number of samples, from 1 to `samples`: 1 / effective -
        1 / samples is the squared relative error of the mean weight. With one proposal that is (sum w)^2 / sum w^2 (Kong 1992);
        with several, as many samples of one would be as good as these of each.
    """
    state = state if state.ndim == 3 else state[:, np.newaxis]
    most, total, left, squares = np.moveaxis(state.astype(np.float64), 2, 0)
    top = most.max(1)
    with np.errstate(divide="ignore", invalid="ignore"):       # weights that are all zero, or no numbers: said by the caller
        scale = np.exp(most - np.where(np.isfinite(top), top, 0)[:, np.newaxis])
        sums = (total + left) * scale
        whole = sums.sum(1)
        # The variance of a mean over strata is the sum of their own: sum w^2 - (sum w)^2 / samples in each.
        spread = samples * (squares * scale**2).sum(1) - (sums**2).sum(1)
        return top + np.log(whole) - np.log(samples * most.shape[1]), samples * whole**2 / (spread + whole**2)
