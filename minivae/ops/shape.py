"""Other shapes for the same numbers, and parts of arrays; copies by the array library, no kernel is needed.

All but reshape make a new, contiguous array, as kernels ask for.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from minivae.device import device_of
from minivae.tensor import Tensor, op


def copied(view):
    """A contiguous copy of an array or a view."""
    copy = device_of(view).empty(view.shape, view.dtype)
    copy[...] = view
    return copy


def expand(x, shape: tuple[int, ...]):
    """A contiguous array x broadcast to a shape that it fits; x itself where it has that shape."""
    if x.shape == shape:
        return x
    if math.prod(shape) == 0:
        return device_of(x).empty(shape, x.dtype)
    steps, step = [], x.itemsize
    for size in reversed(x.shape):
        steps.insert(0, 0 if size == 1 else step)
        step *= size
    strides = (0,) * (len(shape) - x.ndim) + tuple(steps)
    return copied(device_of(x).view(x.reshape(-1), 0, shape, strides))


def whole(name: str, number) -> int:
    """A whole number, Python's or NumPy's, as Python's.

    Raises:
        TypeError: it is none.
    """
    try:
        return operator.index(number)
    except TypeError:
        raise TypeError(f"{name}: {number!r} is no whole number") from None


def axis_of(name: str, axis: int, ndim: int) -> int:
    """An axis counted from the front.

    Raises:
        ValueError: there is none of that number.
        TypeError: it is no whole number.
    """
    axis = axis if axis.__class__ is int else whole(name, axis)
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: there is no axis {axis} in {ndim} dimensions")
    return axis % ndim


def reshape(x, shape: int | tuple[int, ...]) -> Tensor:
    """x with another shape, of which one size may be -1; the memory is shared.

    Raises:
        ValueError: the shape has another number of elements.
    """
    return _reshape(x, shape=shape)


@op(view=True)
def _reshape(needs, x, *, shape):
    before = x.shape
    try:
        y = x.reshape(shape)
    except ValueError:
        raise ValueError(f"reshape: {before} has another number of elements than {shape}") from None
    return y, lambda dy, into: dy.reshape(before)


def transpose(x, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in another order, by default the reverse.

    Raises:
        ValueError: axes that are no order of x's.
    """
    return _transpose(x, axes=axes)


@op
def _transpose(needs, x, *, axes):
    axes = tuple(range(x.ndim))[::-1] if axes is None else tuple(axis_of("transpose", axis, x.ndim) for axis in axes)
    if sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: {axes} is no order of the axes of shape {x.shape}")
    back = tuple(axes.index(i) for i in range(x.ndim))
    return copied(x.transpose(axes)), lambda dy, into: copied(dy.transpose(back))


def broadcast_to(x, shape: tuple[int, ...]) -> Tensor:
    """x repeated along new axes, and along those where it has size 1.

    Raises:
        ValueError: x does not fit the shape.
    """
    return _broadcast_to(x, shape=tuple(shape))


def repeat_rows(x, times: int) -> Tensor:
    """x (rows, cols) as (rows * times, cols), each row so many times, one below the other."""
    rows, cols = x.shape
    return reshape(broadcast_to(reshape(x, (rows, 1, cols)), (rows, times, cols)), (rows * times, cols))


@op
def _broadcast_to(needs, x, *, shape):
    extra = len(shape) - x.ndim
    if extra < 0 or any(have not in (1, want) for have, want in zip(x.shape, shape[extra:], strict=True)):
        raise ValueError(f"broadcast_to: shape {x.shape} does not broadcast to {shape}")
    return copied(expand(x, shape)) if x.shape == shape else expand(x, shape), lambda dy, into: dy


def concatenate(arrays: Sequence, axis: int = 0) -> Tensor:
    """Arrays one behind the other along an axis.

    Raises:
        ValueError: none, or shapes that differ along another axis.
        TypeError: arrays of several dtypes or devices.
    """
    if not arrays:
        raise ValueError("concatenate: needs at least one array")
    return _concatenate(*arrays, axis=axis)


@op
def _concatenate(needs, *arrays, axis):
    first = arrays[0]
    axis = axis_of("concatenate", axis, first.ndim)
    if any(x.ndim != first.ndim or x.shape[:axis] + x.shape[axis + 1:] != first.shape[:axis] + first.shape[axis + 1:]
           for x in arrays):
        raise ValueError(f"concatenate: shapes {', '.join(str(x.shape) for x in arrays)} differ along another axis than {axis}")
    keys = _pieces([x.shape[axis] for x in arrays], axis)
    total = sum(x.shape[axis] for x in arrays)
    y = device_of(first).empty(first.shape[:axis] + (total,) + first.shape[axis + 1:], first.dtype)
    for x, key in zip(arrays, keys, strict=True):
        y[key] = x

    def backward(dy, into):
        return tuple(copied(dy[key]) if need else None for key, need in zip(keys, needs, strict=True))

    return y, backward


def _pieces(sizes: Sequence[int], axis: int) -> list[tuple]:
    """The index of each piece of those sizes along an axis."""
    keys, start = [], 0
    for size in sizes:
        keys.append((slice(None),) * axis + (slice(start, start + size),))
        start += size
    return keys


def stack(arrays: Sequence, axis: int = 0) -> Tensor:
    """Arrays of one shape beside each other along a new axis.

    Raises:
        ValueError: none, or shapes that differ.
        TypeError: arrays of several dtypes or devices.
    """
    if not arrays or any(x.shape != arrays[0].shape for x in arrays):
        raise ValueError(f"stack: needs arrays of one shape, got {', '.join(str(x.shape) for x in arrays) or 'none'}")
    shape = arrays[0].shape
    axis = axis_of("stack", axis, len(shape) + 1)
    return concatenate([reshape(x, (*shape[:axis], 1, *shape[axis:])) for x in arrays], axis)


def split(x, sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """x cut along an axis.

    Args:
        sections: into how many equal pieces, or the places to cut at, in ascending order.

    Raises:
        ValueError: no equal pieces, or places that do not ascend within the axis.
    """
    axis = axis_of("split", axis, x.ndim)
    size = x.shape[axis]
    if not hasattr(sections, "__len__"):
        sections = whole("split", sections)
        if sections < 1 or size % sections:
            raise ValueError(f"split: an axis of {size} does not make {sections} equal pieces")
        sections = range(size // sections, size, size // sections) if size else [0] * (sections - 1)
    edges = [0, *(whole("split", place) for place in sections), size]
    if edges != sorted(edges):
        raise ValueError(f"split: the places {edges[1:-1]} do not ascend within an axis of {size}")
    return _split(x, sizes=[end - start for start, end in zip(edges, edges[1:], strict=False)], axis=axis)


@op
def _split(needs, x, *, sizes, axis):
    keys, shape = _pieces(sizes, axis), x.shape

    def backward(*dys_and_into):
        *dys, _ = dys_and_into
        dx = device_of(dys[0]).empty(shape, dys[0].dtype)
        for key, dy in zip(keys, dys, strict=True):
            dx[key] = dy
        return dx

    return tuple(copied(x[key]) for key in keys), backward


def pad(x, widths: int | Sequence, value: float = 0.0) -> Tensor:
    """x with a border of `value`.

    Args:
        widths: how many elements before and behind each axis: a number for all, or a (before, after) for each axis.

    Raises:
        ValueError: widths for another number of axes, or below 0.
    """
    alike = not hasattr(widths, "__len__")
    pairs = [(widths, widths)] * x.ndim if alike else [tuple(pair) for pair in widths]
    pairs = [tuple(whole("pad", width) for width in pair) for pair in pairs]
    if len(pairs) != x.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(f"pad: shape {x.shape} needs {x.ndim} widths (before, after) of at least 0, got {widths}")
    return _pad(x, pairs=pairs, value=value)


@op
def _pad(needs, x, *, pairs, value):
    inside = tuple(slice(before, before + size) for (before, _), size in zip(pairs, x.shape, strict=True))
    y = device_of(x).empty(tuple(before + size + after for (before, after), size in zip(pairs, x.shape, strict=True)), x.dtype)
    y.fill(value)
    y[inside] = x
    return y, lambda dy, into: copied(dy[inside])


@op
def view_of(needs, x, *, key):
    """x[key] of whole numbers, slices, ... and None, as a copy: see ops.index.

    Raises:
        IndexError: x has no such place.
    """
    whole = key if any(k is Ellipsis for k in key) else (*key, ...)     # with ... NumPy too makes an array of one element
    y, shape = copied(x[whole]), x.shape

    def backward(dy, into):
        dx = device_of(dy).zeros(shape, dy.dtype)
        dx[key] = dy
        return dx

    return y, backward
