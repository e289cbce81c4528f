"""Comparisons, elementwise and with NumPy's broadcasting (kernels/compare.cu).

Either operand may be a Python number, which takes the other's dtype. The result is a Tensor of bool: a condition for
ops.where, never a part of a gradient. With NaN none holds but not_equal.
"""

from __future__ import annotations

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.binary import NUMBERS, broadcast
from minivae.ops.shape import expand
from minivae.tensor import Tensor, require_alike
from minivae.work import elements, rows

LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL = range(6)     # as with_kind() in kernels/compare.cu numbers them
MIRRORED = (GREATER, GREATER_EQUAL, LESS, LESS_EQUAL, EQUAL, NOT_EQUAL)   # what b is to a where a is that to b


def _compare(name: str, kind: int, a, b) -> Tensor:
    a, b = (x.data if isinstance(x, Tensor) else x for x in (a, b))
    if isinstance(a, NUMBERS):
        a, b, kind = b, a, MIRRORED[kind]
    if isinstance(b, NUMBERS):
        y = device_of(a).empty(a.shape, np.uint8)
        launch("compare_number", elements(a.size), a, y, a.size, float(b), kind)
    else:
        require_alike(name, (a, b))
        y = _of_arrays(name, kind, a, b)
    return Tensor(y.view(np.bool_))


def _of_arrays(name: str, kind: int, a, b):
    shape, count, cols, numbers = broadcast(name, a.shape, b.shape)
    if numbers is None:
        a, b = expand(a, shape), expand(b, shape)
    y = device_of(a).empty(shape, np.uint8)
    if a.shape == b.shape:
        launch("compare", elements(y.size), a, b, y, y.size, kind)
    else:
        launch("compare_broadcast", rows(count, cols) if y.size else elements(0), a, b, y, count, cols, *numbers, kind)
    return y


def less(a, b) -> Tensor:
    """a < b.

    Raises:
        ValueError: shapes that do not go together by broadcasting.
        TypeError: arrays of several dtypes or devices.
    """
    return _compare("less", LESS, a, b)


def less_equal(a, b) -> Tensor:
    """a <= b; raises as less does."""
    return _compare("less_equal", LESS_EQUAL, a, b)


def greater(a, b) -> Tensor:
    """a > b; raises as less does."""
    return _compare("greater", GREATER, a, b)


def greater_equal(a, b) -> Tensor:
    """a >= b; raises as less does."""
    return _compare("greater_equal", GREATER_EQUAL, a, b)


def equal(a, b) -> Tensor:
    """a == b; raises as less does."""
    return _compare("equal", EQUAL, a, b)


def not_equal(a, b) -> Tensor:
    """a != b; raises as less does."""
    return _compare("not_equal", NOT_EQUAL, a, b)
