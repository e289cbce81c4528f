"""Matrix products with NumPy's rules for vectors and batches; the device's product is the kernel."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minivae.device import device_of
from minivae.ops.shape import expand
from minivae.tensor import op


def _flops(a, b) -> int:
    """By definition: a multiplication and an addition for every number of a that meets one of b."""
    columns = b.shape[-1] if b.ndim > 1 else 1
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return 2 * math.prod(batch) * (a.shape[-2] if a.ndim > 1 else 1) * a.shape[-1] * columns


@op(flops=_flops)
def matmul(needs, a, b):
    """a @ b: (..., m, k) by (..., k, n), the axes before the last two broadcast. A vector counts as one row on the
    left, as one column on the right, and that axis is not in the result.

    Raises:
        ValueError: shapes that do not fit.
        TypeError: arrays of several dtypes or devices.
    """
    plan = _plan(a.shape, b.shape)
    left, right, product = _factor(a, plan.left, plan.batched), _factor(b, plan.right, plan.batched), device_of(a).matmul

    def backward(dy, into):
        dy = dy.reshape(plan.product)
        da = product(dy, _turned(right)).reshape(plan.full_a) if needs[0] else None
        db = product(_turned(left), dy).reshape(plan.full_b) if needs[1] else None
        return da, db

    return product(left, right).reshape(plan.shape), backward


class _Plan(NamedTuple):
    """How arrays of two shapes are multiplied.

    Attributes:
        left, right: the shapes that the factors are brought into, of two axes or, as a batch, more.
        batched: the factors are broadcast to those shapes, and their axes before the last two made one.
        product: the shape of the device's product.
        shape: the result's.
        full_a, full_b: the shapes of the gradients, in which what broadcasting there was is still to be undone.
    """

    left: tuple[int, ...]
    right: tuple[int, ...]
    batched: bool
    product: tuple[int, ...]
    shape: tuple[int, ...]
    full_a: tuple[int, ...]
    full_b: tuple[int, ...]


@lru_cache(maxsize=1024)
def _plan(a: tuple[int, ...], b: tuple[int, ...]) -> _Plan:
    """Raises ValueError as matmul does."""
    if not a or not b or a[-1] != b[-2 if len(b) > 1 else 0]:
        raise ValueError(f"matmul: cannot multiply {a} by {b}")
    left, right = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ValueError(f"matmul: the batches of {a} and {b} do not go together by broadcasting") from None
    m, k, n = *left[-2:], right[-1]
    shape = (*batch, *a[-2:-1], *((n,) if len(b) > 1 else ()))
    if len(right) == 2:     # one right factor for all: one product
        rows = math.prod(left[:-1])
        return _Plan((rows, k), right, False, (rows, n), shape, a, b)
    full_a, full_b = (*batch, m, k), (*batch, k, n)
    return _Plan(full_a, full_b, True, (math.prod(batch), m, n), shape, full_a, full_b)


def _factor(x, shape: tuple[int, ...], batched: bool):
    """x as the device's product takes it: a matrix of that shape, or (batch, m, k) of x broadcast to it."""
    if not batched:
        return x if x.shape == shape else x.reshape(shape)
    return expand(x if x.ndim > 1 else x.reshape(1, -1), shape).reshape(math.prod(shape[:-2]), *shape[-2:])


def _turned(x):
    return x.T if x.ndim == 2 else x.transpose(0, 2, 1)
