"""The sampling step of a VAE and its KL divergence, as one operation (kernels/reparameterize.cu)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivae.device import Device, device_of
from minivae.kernels import launch
from minivae.tensor import op
from minivae.work import rows


class Noise(NamedTuple):
    """Names the noise of one draw: the same name gives the same noise on every device.

    Attributes:
        seed: the run's seed, 0 <= seed < 2^64.
        step: the number of the draw, 0 <= step < 2^32.
        stream: what the draw is for: TRAIN, EVALUATE, SAMPLE or IMPORTANCE.
    """

    seed: int
    step: int
    stream: int = 0


TRAIN, EVALUATE, SAMPLE, IMPORTANCE = 0, 1, 2, 3


@op
def reparameterize(needs, heads, *, example, noise: Noise):
    """z = mu + sigma eps with eps ~ N(0, I), and KL(N(mu, sigma^2) || N(0, I)) (Kingma & Welling 2014).

    Args:
        heads: (rows, 2 * codes): mu in the first half of the columns, rho in the second; sigma = softplus(rho).
        example: (rows / n,) int32, indices in the data set: noise belongs to an example, not to a row. n consecutive rows
            are of the same example, each with noise of its own.
        noise: which draw.

    Returns:
        z: (rows, codes).
        kl: (rows,), -1/2 sum(1 + 2 log sigma - mu^2 - sigma^2), in nats.

    Raises:
        ValueError: an odd number of columns, or rows that are no multiple of the examples.
    """
    (count, width), device = heads.shape, device_of(heads)
    if width % 2:
        raise ValueError(f"reparameterize: heads hold mu and rho, an even number of columns, not {width}")
    draws, rest = divmod(count, max(len(example), 1))
    if rest:
        raise ValueError(f"reparameterize: {count} rows are no multiple of {len(example)} examples")
    codes = width // 2
    z, kl = device.empty((count, codes), heads.dtype), device.empty((count,), heads.dtype)
    launch("reparameterize_forward", rows(count, codes), heads, example, z, kl, count, codes, max(draws, 1), *noise)

    def backward(dz, dkl, into):
        dheads = device.empty(heads.shape, heads.dtype)
        launch("reparameterize_backward", rows(count, codes), dz, dkl, heads, example, dheads, count, codes, max(draws, 1),
               *noise)
        return dheads

    return (z, kl), backward


def standard_normal(device: Device, count: int, codes: int, noise: Noise, dtype=np.float32, first: int = 0):
    """(count, codes) draws from N(0, I): the noise of examples first .. first + count - 1."""
    z = device.empty((count, codes), dtype)
    launch("standard_normal", rows(count, codes), z, count, codes, first, *noise)
    return z
