"""Matrix products with NumPy's rules for vectors and batches; the device's product is the kernel."""

from __future__ import annotations

import math

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
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: cannot multiply {a.shape} by {b.shape}")
    left = a.reshape(1, -1) if a.ndim == 1 else a
    right = b.reshape(-1, 1) if b.ndim == 1 else b
    try:
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    except ValueError:
        raise ValueError(f"matmul: the batches of {a.shape} and {b.shape} do not go together by broadcasting") from None
    m, n = left.shape[-2], right.shape[-1]
    shape = (*batch, *((m,) if a.ndim > 1 else ()), *((n,) if b.ndim > 1 else ()))
    together = right.ndim == 2      # one right factor for all: one product
    left, right = ((left.reshape(math.prod(left.shape[:-1]), left.shape[-1]), right) if together else
                   (_batched(left, batch), _batched(right, batch)))
    product = device_of(a).matmul

    def backward(dy, into):
        dy = dy.reshape((*left.shape[:-1], n))
        da = product(dy, _turned(right)).reshape(_full(a, batch)) if needs[0] else None
        db = product(_turned(left), dy).reshape(b.shape if together else _full(b, batch)) if needs[1] else None
        return da, db

    return product(left, right).reshape(shape), backward


def _batched(x, batch: tuple[int, ...]):
    """x (..., m, k) as (batch, m, k)."""
    return expand(x, (*batch, *x.shape[-2:])).reshape(math.prod(batch), *x.shape[-2:])


def _turned(x):
    return x.T if x.ndim == 2 else x.transpose(0, 2, 1)


def _full(x, batch: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the gradient of a factor x, which broadcasting is still to be undone in."""
    return (*batch, *x.shape[-2:])
