"""Sums, means, variances, maxima and log sum exp over any axes (kernels/reductions.cu, sums of all by arithmetic.cu)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from minivae.device import device_of, empty_like
from minivae.kernels import launch
from minivae.ops.arithmetic import spread, total, weight_of_mean
from minivae.ops.shape import axis_of, copied, expand, whole
from minivae.ops.unary import AFFINE
from minivae.sums import sum_over
from minivae.tensor import op
from minivae.work import Work, elements, rows

Axes = int | tuple[int, ...] | None


def axes_of(name: str, axis: Axes, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` names, ascending; all for None.

    Raises:
        ValueError: one that is not there, or is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(sorted(axis_of(name, a, ndim) for a in (axis if hasattr(axis, "__len__") else (axis,))))
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: axis {axis} names one twice")
    return axes


def _left(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape of what is left of a shape when those axes are reduced."""
    return tuple(1 if i in axes else size for i, size in enumerate(shape) if keepdims or i not in axes)


class _Plan(NamedTuple):
    """How a shape is reduced: the axes, the others, the result's shape, how many numbers are left and make one of them; and
    for Rows the order of the axes, the order that undoes it, whether that is another than theirs, and a launch's work."""

    axes: tuple[int, ...]
    others: tuple[int, ...]
    left: tuple[int, ...]
    sizes: tuple[int, int]
    order: tuple[int, ...]
    back: tuple[int, ...]
    moved: bool
    work: Work

    @property
    def reduced(self) -> int:
        """How many numbers make one."""
        return self.sizes[1]


@lru_cache(maxsize=1024)
def _plan(name: str, shape: tuple[int, ...], axis: Axes, keepdims: bool) -> _Plan:
    axes = axes_of(name, axis, len(shape))
    others = tuple(i for i in range(len(shape)) if i not in axes)
    sizes = math.prod(shape[i] for i in others), math.prod(shape[i] for i in axes)
    order = others + axes
    back = tuple(order.index(i) for i in range(len(shape)))
    return _Plan(axes, others, _left(shape, axes, keepdims), sizes, order, back, list(order) != sorted(order),
                 rows(*sizes))


def _plan_of(name: str, x, axis: Axes, keepdims: bool) -> _Plan:
    if axis is not None and axis.__class__ is not int:      # as Python's numbers, by which a plan is found again
        axis = tuple(whole(name, a) for a in axis) if hasattr(axis, "__len__") else whole(name, axis)
    return _plan(name, x.shape, axis, bool(keepdims))


def _require_some(name: str, shape: tuple[int, ...], plan: _Plan) -> None:
    if plan.sizes[1] == 0:
        raise ValueError(f"{name}: no elements in shape {shape} along axes {plan.axes}")


def _scaled_sum(name: str, x, axis: Axes, keepdims: bool, mean: bool):
    """(y, backward) of the sum or the mean."""
    plan, shape = _plan_of(name, x, axis, keepdims), x.shape
    if mean:
        _require_some(name, shape, plan)
    scale = weight_of_mean(plan.reduced, x.dtype) if mean else 1.0
    if not plan.others:
        return total(x, scale, plan.left), lambda dy, into: spread(dy, shape, scale)
    kept = _left(shape, plan.axes, True)

    def backward(dy, into):
        if mean:
            launch("unary", elements(dy.size), dy, dy, dy.size, AFFINE, scale, 0.0)
        return expand(dy.reshape(kept), shape)

    return sum_over(x, plan.axes, scale).reshape(plan.left), backward


@op
def sum(needs, x, *, axis: Axes = None, keepdims: bool = False):     # noqa: A001  (NumPy's name)
    """The sum over an axis, several, or all; of no elements 0.

    Args:
        axis: a number, a tuple of numbers, or None for all.
        keepdims: leave the summed axes with size 1.

    Raises:
        ValueError: an axis that is not there, or is named twice.
    """
    return _scaled_sum("sum", x, axis, keepdims, mean=False)


@op
def mean(needs, x, *, axis: Axes = None, keepdims: bool = False):
    """The mean over an axis, several, or all; axis and keepdims as for sum.

    Raises:
        ValueError: no elements, or an axis that is not there or is named twice.
    """
    return _scaled_sum("mean", x, axis, keepdims, mean=True)


class Rows:
    """An array seen as a matrix whose rows are what is reduced: as it is where the axes are the last ones, else a copy.

    Attributes:
        x: the rows' numbers, one row behind the other.
        sizes: how many rows, and how long they are.
        left: the shape of the result.
        work: of a launch over the rows.

    Raises:
        ValueError: no elements to reduce, or an axis that is not there or is named twice.
    """

    def __init__(self, name: str, x, axis: Axes, keepdims: bool = False):
        self._plan = plan = _plan_of(name, x, axis, keepdims)
        _require_some(name, x.shape, plan)
        self.sizes, self.left, self.work = plan.sizes, plan.left, plan.work
        self.x = self.rows_of(x)

    def empty(self):
        """An uninitialized array, a number a row, of the result's shape."""
        return device_of(self.x).empty(self.left, self.x.dtype)

    def rows_of(self, array):
        """An array like the one that x was made of as one like x."""
        if self._plan.moved:
            return copied(array.transpose(self._plan.order))
        return array if array.flags.c_contiguous else copied(array)

    def back(self, array):
        """An array like x as one like that which x was made of."""
        return copied(array.transpose(self._plan.back)) if self._plan.moved else array


@op
def var(needs, x, *, axis: Axes = None, keepdims: bool = False, ddof: int = 0):
    """The variance over an axis, several, or all: the sum of squared differences from the mean over their number - ddof.

    Raises:
        ValueError: not more elements than ddof, or an axis that is not there or is named twice.
    """
    r = Rows("var", x, axis, keepdims)
    device, (count, reduced) = device_of(x), r.sizes
    if reduced <= ddof:
        raise ValueError(f"var: {reduced} elements are not more than ddof {ddof}")
    middle, y, scale = device.empty((count,), x.dtype), r.empty(), 1 / (reduced - ddof)
    launch("variance_rows", r.work, r.x, middle, y, *r.sizes, scale)

    def backward(dy, into):
        dx = empty_like(r.x)
        launch("variance_rows_backward", r.work, dy, r.x, middle, dx, *r.sizes, 2 * scale)
        return r.back(dx)

    return y, backward


@op
def max(needs, x, *, axis: Axes = None, keepdims: bool = False):     # noqa: A001  (NumPy's name)
    """The largest element over an axis, several, or all; NaN wins. The gradient goes to the first of equals.

    Raises:
        ValueError: no elements, or an axis that is not there or is named twice.
    """
    return _by_rows(Rows("max", x, axis, keepdims), "max_rows")


@op
def logsumexp(needs, x, *, axis: Axes = None, keepdims: bool = False):
    """log sum e^x over an axis, several, or all, shifted by the largest element so that nothing overflows.

    Raises:
        ValueError: no elements, or an axis that is not there or is named twice.
    """
    return _by_rows(Rows("logsumexp", x, axis, keepdims), "logsumexp_rows")


def _by_rows(r: Rows, kernel: str):
    y = r.empty()
    launch(kernel, r.work, r.x, y, *r.sizes)

    def backward(dy, into):
        dx = empty_like(r.x)
        launch(f"{kernel}_backward", r.work, dy, r.x, y, dx, *r.sizes)
        return r.back(dx)

    return y, backward
