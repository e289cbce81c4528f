"""Elementwise sums and means (kernels/arithmetic.cu)."""

from __future__ import annotations

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.tensor import op
from minivae.work import blocks, elements

ONE_BLOCK, PARTS = 1 << 16, 256     # elements that one block sums, and into how many parts more are cut


@op
def add(needs, a, b):
    """a + b, elementwise.

    Args:
        a, b: arrays of the same shape and dtype.

    Raises:
        ValueError: the shapes differ.
    """
    if a.shape != b.shape:
        raise ValueError(f"add: shapes {a.shape} and {b.shape} differ")
    y = device_of(a).empty(a.shape, a.dtype)
    launch("add", elements(a.size), a, b, y, a.size)

    def backward(dy, into):
        return tuple(dy if need else None for need in needs)

    return y, backward


@op
def mean(needs, x):
    """The mean of all elements, as an array of shape (1,).

    Raises:
        ValueError: x has no elements.
    """
    if x.size == 0:
        raise ValueError(f"mean: no elements in shape {x.shape}")
    device, shape, n = device_of(x), x.shape, x.size
    scale = weight_of_mean(n, x.dtype)
    y = device.empty((1,), x.dtype)
    if n > ONE_BLOCK:       # float32 sums stay short, and every processor has work
        parts = device.empty((PARTS,), x.dtype)
        launch("sum", blocks(PARTS), x, parts, n, 1.0)
        launch("sum", blocks(1), parts, y, PARTS, scale)
    else:
        launch("sum", blocks(1), x, y, n, scale)

    def backward(dy, into):
        dx = device.empty(shape, dy.dtype)
        launch("fill", elements(n), dy, dx, n, scale)
        return dx

    return y, backward


def weight_of_mean(n: int, dtype) -> float:
    """1 / n as the mean over n elements multiplies with it, rounded to `dtype`."""
    return float(np.dtype(dtype).type(1 / n))
