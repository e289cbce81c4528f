"""Functions of two numbers, elementwise and with NumPy's broadcasting (kernels/binary.cu, and add of arithmetic.cu).

Either operand may be a Python number, which takes the other's dtype.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from itertools import groupby

import numpy as np

from minivae.device import device_of, empty_like
from minivae.kernels import launch
from minivae.ops import unary
from minivae.ops.shape import expand
from minivae.tensor import Tensor, op, require_alike
from minivae.work import elements, rows

ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, MAXIMUM, MINIMUM = range(7)       # as with_kind() in kernels/binary.cu numbers them
NUMBERS = (int, float, np.generic)
LONG_ROWS = (4096, 2048, 1024, 512, 256)    # lengths that longer rows are cut into where one divides them: for many blocks


def _with_numbers(right: Callable, left: Callable) -> Callable:
    """An operation whose second operand (right) or first (left) may be a number: then that operation of one array."""

    def wrap(operation):
        @functools.wraps(operation)
        def apply(a, b):
            if isinstance(a, Tensor) and isinstance(b, Tensor):
                return operation(a, b)
            if isinstance(b, NUMBERS):
                return right(a, float(b))
            if isinstance(a, NUMBERS):
                return left(b, float(a))
            return operation(a, b)

        return apply

    return wrap


@functools.lru_cache(maxsize=1024)
def _plan(a: tuple[int, ...], b: tuple[int, ...]):
    """How the kernels walk arrays of two shapes: (shape of the result, rows, cols, the kernel's numbers from n1 to along_b),
    with None for the numbers where the axes alternate too often between those of a and of b.

    Raises:
        ValueError: the shapes do not go together.
    """
    shape = np.broadcast_shapes(a, b)
    flags = [tuple((1,) * (len(shape) - len(s)) + s) for s in (a, b)]
    axes = [(size, in_a == size, in_b == size) for size, in_a, in_b in zip(shape, *flags, strict=True) if size != 1]
    runs = [(math.prod(size for size, _, _ in run), *key) for key, run in groupby(axes, key=lambda axis: axis[1:])]
    *outer, (cols, along_a, along_b) = runs or [(1, True, True)]
    if len(outer) < 3:
        for length in LONG_ROWS:
            if cols > length and cols % length == 0:
                outer, cols = [*outer, (cols // length, along_a, along_b)], length
                break
    if len(outer) > 3:
        return shape, 0, 0, None
    outer = [(1, False, False)] * (3 - len(outer)) + outer
    steps = []
    for which, along in ((1, along_a), (2, along_b)):
        step, of_operand = cols if along else 1, []
        for run in reversed(outer):
            of_operand.insert(0, step if run[which] else 0)
            step *= run[0] if run[which] else 1
        steps += of_operand
    count = math.prod(size for size, _, _ in outer)
    return shape, count, cols, (outer[1][0], outer[2][0], *steps, int(along_a), int(along_b))


def broadcast(name: str, a: tuple[int, ...], b: tuple[int, ...]):
    """_plan() for an operation of that name, which the error names.

    Raises:
        ValueError: the shapes do not go together.
    """
    try:
        return _plan(a, b)
    except ValueError:
        raise ValueError(f"{name}: shapes {a} and {b} do not go together by broadcasting") from None


def _apply(name: str, kind: int, needs, a, b):
    """(y, backward) of the function of that number."""
    shape = a.shape
    if shape != b.shape:
        shape, count, cols, numbers = broadcast(name, shape, b.shape)
        if numbers is not None:
            return _apply_broadcast(kind, needs, a, b, shape, count, cols, numbers)
        a, b = expand(a, shape), expand(b, shape)
    n, y = a.size, empty_like(a)
    work = elements(n)
    if kind == ADD:
        launch("add", work, a, b, y, n)
    else:
        launch("binary", work, a, b, y, n, kind)
    if kind <= SUBTRACT:
        return y, functools.partial(_linear_backward, kind, needs)
    want_a, want_b = map(int, needs)

    def backward(dy, into):
        da = empty_like(dy) if want_a else None
        db = empty_like(dy) if want_b else None
        launch("binary_backward", work, dy, a, b, dy if da is None else da, dy if db is None else db, n, want_a, want_b,
               kind)
        return da, db

    return y, backward


def _apply_broadcast(kind: int, needs, a, b, shape: tuple[int, ...], count: int, cols: int, numbers: tuple[int, ...]):
    """The same for arrays that are walked as _plan() says."""
    device, work = device_of(a), rows(count, cols) if math.prod(shape) else elements(0)
    y = device.empty(shape, a.dtype)
    launch("binary_broadcast", work, a, b, y, count, cols, *numbers, kind)
    if kind <= SUBTRACT:
        return y, functools.partial(_linear_backward, kind, needs)

    def backward(dy, into):
        da, db = (device.empty(shape, dy.dtype) if need else None for need in needs)
        launch("binary_broadcast_backward", work, dy, a, b, dy if da is None else da, dy if db is None else db, count, cols,
               *numbers, *map(int, needs), kind)
        return da, db

    return y, backward


def _linear_backward(kind: int, needs, dy, into):
    """The gradients of a + b and a - b: dy itself, in the result's shape."""
    if kind == ADD or not needs[1]:
        return dy if needs[0] else None, dy if needs[1] else None
    db = empty_like(dy)
    launch("unary", elements(dy.size), dy, db, dy.size, unary.AFFINE, -1.0, 0.0)
    return dy if needs[0] else None, db


@_with_numbers(right=lambda x, number: unary.affine(x, shift=number), left=lambda x, number: unary.affine(x, shift=number))
@op
def add(needs, a, b):
    """a + b.

    Raises:
        ValueError: shapes that do not go together by broadcasting.
        TypeError: arrays of several dtypes or devices.
    """
    return _apply("add", ADD, needs, a, b)


@_with_numbers(right=lambda x, number: unary.affine(x, shift=-number),
               left=lambda x, number: unary.affine(x, scale=-1.0, shift=number))
@op
def subtract(needs, a, b):
    """a - b; raises as add does."""
    return _apply("subtract", SUBTRACT, needs, a, b)


@_with_numbers(right=lambda x, number: unary.affine(x, scale=number), left=lambda x, number: unary.affine(x, scale=number))
@op
def multiply(needs, a, b):
    """a b; raises as add does."""
    return _apply("multiply", MULTIPLY, needs, a, b)


@_with_numbers(right=lambda x, number: unary.divided_by(x, number=number), left=lambda x, number: unary.over(x, number=number))
@op
def divide(needs, a, b):
    """a / b; raises as add does."""
    return _apply("divide", DIVIDE, needs, a, b)


@_with_numbers(right=lambda x, number: unary.square(x) if number == 2 else unary.to_power(x, exponent=number),
               left=lambda x, number: unary.power_of(x, base=number))
@op
def power(needs, a, b):
    """a^b; NaN for negative a and b that is not whole. The slope along b is 0 at a = 0. Raises as add does."""
    return _apply("power", POWER, needs, a, b)


@_with_numbers(right=lambda x, number: unary.at_least(x, number=number), left=lambda x, number: unary.at_least(x, number=number))
@op
def maximum(needs, a, b):
    """The larger of a and b, NaN where either is; of equals each gets half of the gradient. Raises as add does."""
    return _apply("maximum", MAXIMUM, needs, a, b)


@_with_numbers(right=lambda x, number: unary.at_most(x, number=number), left=lambda x, number: unary.at_most(x, number=number))
@op
def minimum(needs, a, b):
    """The smaller of a and b, NaN where either is; of equals each gets half of the gradient. Raises as add does."""
    return _apply("minimum", MINIMUM, needs, a, b)


def where(condition, a, b) -> Tensor:
    """a where the condition holds, else b, all three broadcast.

    Args:
        condition: a Tensor or array of bool, as comparisons give it (or of uint8, where 0 does not hold), on the device of
            the others.
        a, b: Tensors or arrays; one of them may be a number.

    Raises:
        ValueError: shapes that do not go together by broadcasting.
        TypeError: a condition of another dtype, or arrays of several dtypes or devices.
    """
    condition = condition.data if isinstance(condition, Tensor) else condition
    if getattr(condition, "dtype", None) not in (np.dtype(bool), np.dtype(np.uint8)):
        raise TypeError(f"where: the condition must be an array of bool or uint8, not "
                        f"{getattr(condition, 'dtype', type(condition).__name__)}")
    like = b if isinstance(a, NUMBERS) else a
    return _where(*(_number_like(like, x) if isinstance(x, NUMBERS) else x for x in (a, b)), condition=condition)


def _number_like(like, number):
    like = like.data if isinstance(like, Tensor) else like
    array = device_of(like).empty((), like.dtype)
    array.fill(number)
    return array


@op
def _where(needs, a, b, *, condition):
    require_alike("where", (a, condition))
    try:
        shape = np.broadcast_shapes(a.shape, b.shape, condition.shape)
    except ValueError:
        raise ValueError(f"where: shapes {condition.shape}, {a.shape} and {b.shape} do not go together by "
                         "broadcasting") from None
    device, n = device_of(a), math.prod(shape)
    mask, a, b = expand(condition, shape).view(np.uint8), expand(a, shape), expand(b, shape)
    y, work = device.empty(shape, a.dtype), elements(n)
    launch("choose", work, mask, a, b, y, n)

    def backward(dy, into):
        da, db = device.empty(shape, dy.dtype), device.empty(shape, dy.dtype)
        launch("choose_backward", work, mask, dy, da, db, n)
        return da, db

    return y, backward
