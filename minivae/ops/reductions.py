"""Sums, means, variances, maxima and log sum exp over any axes (kernels/reductions.cu, sums of all by arithmetic.cu)."""

from __future__ import annotations

import math

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.arithmetic import spread, total, weight_of_mean
from minivae.ops.shape import axis_of, copied, expand
from minivae.ops.unary import AFFINE
from minivae.sums import sum_over
from minivae.tensor import op
from minivae.work import elements, rows

Axes = int | tuple[int, ...] | None


def axes_of(name: str, axis: Axes, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` names, ascending; all for None.

    Raises:
        ValueError: one that is not there, or is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    axes = tuple(sorted(axis_of(name, a, ndim) for a in ((axis,) if isinstance(axis, int) else axis)))
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: axis {axis} names one twice")
    return axes


def _left(shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """The shape of what is left of a shape when those axes are reduced."""
    return tuple(1 if i in axes else size for i, size in enumerate(shape) if keepdims or i not in axes)


def _scaled_sum(name: str, x, axis: Axes, keepdims: bool, mean: bool):
    """(y, backward) of the sum or the mean."""
    axes, shape = axes_of(name, axis, x.ndim), x.shape
    reduced = math.prod(shape[i] for i in axes)
    if mean and reduced == 0:
        raise ValueError(f"{name}: no elements in shape {shape} along axes {axes}")
    scale = weight_of_mean(reduced, x.dtype) if mean else 1.0
    left = _left(shape, axes, keepdims)
    if len(axes) == len(shape):
        y = total(x, scale).reshape(left)
        return y, lambda dy, into: spread(dy, shape, scale)
    kept = _left(shape, axes, True)

    def backward(dy, into):
        if mean:
            launch("unary", elements(dy.size), dy, dy, dy.size, AFFINE, scale, 0.0)
        return expand(dy.reshape(kept), shape)

    return sum_over(x, axes, scale).reshape(left), backward


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
    """An array seen as a matrix whose rows are what is reduced: a view where the axes are the last ones, else a copy.

    Attributes:
        x: (outer, reduced).
        left: the shape of the result.
        work: of a launch over the rows.

    Raises:
        ValueError: no elements to reduce, or an axis that is not there or is named twice.
    """

    def __init__(self, name: str, x, axis: Axes, keepdims: bool = False):
        axes = axes_of(name, axis, x.ndim)
        kept = [i for i in range(x.ndim) if i not in axes]
        self.shape, self.order = x.shape, (*kept, *axes)
        self.left = _left(x.shape, axes, keepdims)
        outer, reduced = math.prod(x.shape[i] for i in kept), math.prod(x.shape[i] for i in axes)
        if reduced == 0:
            raise ValueError(f"{name}: no elements in shape {x.shape} along axes {axes}")
        self.moved = self.order != tuple(range(x.ndim))
        self.x = (copied(x.transpose(self.order)) if self.moved else x).reshape(outer, reduced)
        self.work, self.sizes = rows(outer, reduced), (outer, reduced)

    def empty(self):
        """An uninitialized array, a number a row, of the result's shape."""
        return device_of(self.x).empty(self.left, self.x.dtype)

    def back(self, matrix):
        """A matrix like x as an array like the one that x was made of."""
        there = matrix.reshape(tuple(self.shape[i] for i in self.order))
        return copied(there.transpose(tuple(self.order.index(i) for i in range(len(self.order))))) if self.moved else there


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
        dx = device.empty(r.x.shape, dy.dtype)
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
        dx = device_of(dy).empty(r.x.shape, dy.dtype)
        launch(f"{kernel}_backward", r.work, dy, r.x, y, dx, *r.sizes)
        return r.back(dx)

    return y, backward
