"""Dense products (kernels/linear.cu); the device's matrix product is the kernel of most of it."""

from __future__ import annotations

import math

from minivae.device import device_of
from minivae.kernels import launch
from minivae.sums import sum_over
from minivae.tensor import Tensor, op
from minivae.work import rows


def linear(x, w, b=None) -> Tensor:
    """y = x w, or x w + b. Before a batch norm leave b out: it would be cancelled.

    Args:
        x: (..., inputs).
        w: (inputs, outputs), of the same dtype.
        b: (outputs,), of the same dtype.

    Returns:
        y: (..., outputs).

    Raises:
        ValueError: shapes or dtypes that do not fit.
    """
    return _linear(x, w) if b is None else _linear_with_bias(x, w, b)


def _flops(x, w, *_) -> int:
    """By definition; adding the bias does not count."""
    return 2 * x.size * w.shape[-1]


@op(flops=_flops)
def _linear(needs, x, w):
    return _product(needs, x, w)


@op(flops=_flops)
def _linear_with_bias(needs, x, w, b):
    if b.shape != w.shape[1:]:
        raise ValueError(f"linear: a bias of shape {b.shape} for weights of shape {w.shape}")
    y, backward_of_product = _product(needs, x, w)
    count, outputs = y.size // max(b.size, 1), b.size
    launch("add_bias", rows(count if outputs else 0, outputs), b, y, count, outputs)

    def backward(dy, into):
        db = sum_over(dy.reshape(count, outputs), (0,)).reshape(outputs) if needs[2] else None
        return *backward_of_product(dy, into), db

    return y, backward


def _product(needs, x, w):
    """(x w, backward) as an op's function returns them."""
    matmul, shape = device_of(x).matmul, x.shape
    if len(shape) != 2 and len(shape):
        x = x.reshape(math.prod(shape[:-1]), shape[-1])
    y = matmul(x, w)

    def backward(dy, into):
        dy, dx = dy.reshape(y_shape), into[0]
        if needs[0]:
            dx = matmul(dy, w.T, out=None if dx is None else dx.reshape(x.shape)).reshape(shape)
        return dx if needs[0] else None, matmul(x.T, dy, out=into[1]) if needs[1] else None

    y_shape = y.shape
    return y if len(shape) == 2 else y.reshape(*shape[:-1], y_shape[1]), backward
