"""Sums and means of all elements, and how their gradients spread (kernels/arithmetic.cu), for ops/reductions.py."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.work import blocks, elements

ONE_BLOCK, PARTS = 1 << 16, 256     # elements that one block sums, and into how many parts more are cut


def total(x, scale: float, shape: tuple[int, ...]):
    """scale times the sum of all elements of a contiguous array, as one element of that shape."""
    device, n = device_of(x), x.size
    y = device.empty(shape, x.dtype)
    if n == 0:
        y.fill(0)
    elif n > ONE_BLOCK:       # float32 sums stay short, and every processor has work
        parts = device.empty((PARTS,), x.dtype)
        launch("sum", blocks(PARTS), x, parts, n, 1.0)
        launch("sum", blocks(1), parts, y, PARTS, scale)
    else:
        launch("sum", blocks(1), x, y, n, scale)
    return y


def spread(dy, shape: tuple[int, ...], scale: float):
    """An array of that shape, every element scale times the one of dy."""
    dx = device_of(dy).empty(shape, dy.dtype)
    launch("fill", elements(dx.size), dy, dx, dx.size, scale)
    return dx


@lru_cache(maxsize=1024)
def weight_of_mean(n: int, dtype) -> float:
    """1 / n as the mean over n elements multiplies with it, rounded to `dtype`."""
    return float(np.dtype(dtype).type(1 / n))
