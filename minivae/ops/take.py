"""Numbers chosen by their index: rows of a table, and x[...] (kernels/take.cu)."""

from __future__ import annotations

import math

import numpy as np

from minivae.device import Device, device_of
from minivae.kernels import launch
from minivae.ops.shape import axis_of, reshape, view_of
from minivae.tensor import Tensor, op
from minivae.work import pixels


def indices(name: str, values, size: int, device: Device):
    """Whole numbers from -size to size - 1 as an int32 array on a device, none of them below 0.

    An int32 array on a GPU is taken as it is: looking at it would stop the device.

    Raises:
        IndexError: one that is out of range.
        TypeError: no whole numbers, or an array on another device.
    """
    if device.owns(values) and device.cuda:
        if values.dtype != np.int32:
            raise TypeError(f"{name}: whole numbers on a GPU must be int32, not {values.dtype}")
        return values
    if not isinstance(values, np.ndarray) and hasattr(values, "dtype") and not isinstance(values, np.generic):
        raise TypeError(f"{name}: whole numbers on another device than {device.name}")
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.int32)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected whole numbers, got {array.dtype}")
    least, most = (array.min(), array.max()) if array.size else (0, 0)
    if array.size and not -size <= least <= most < size:
        raise IndexError(f"{name}: {least} to {most} leave 0 to {size - 1}")
    array = _from_front(array, size) if least < 0 else array
    return device.from_host(array if array.dtype == np.int32 else array.astype(np.int32))


def _from_front(array: np.ndarray, size: int) -> np.ndarray:
    """Indices of an axis of that size, those below 0 counted from its end, as int64: size may be too large for their own."""
    array = array.astype(np.int64)
    return np.where(array < 0, array + size, array)


def take(x, index, axis: int = 0) -> Tensor:
    """x's entries of those numbers along an axis, as NumPy's take; one may come several times, its gradients add up.

    The backward pass looks through the whole index for every entry: time grows with the product of the two.

    Args:
        index: whole numbers: a list, a NumPy array, or an int32 array on x's device.

    Returns:
        y: x's shape with the index's in place of the axis.

    Raises:
        IndexError: a number that is out of range; in an index on a GPU, which nobody looks at, it makes NaN.
        TypeError: no whole numbers, or on another device.
    """
    array = x.data if isinstance(x, Tensor) else x
    axis = axis_of("take", axis, array.ndim)
    return _take(x, index=indices("take", index, array.shape[axis], device_of(array)), axis=axis)


def embedding(table, labels) -> Tensor:
    """The rows of a table (entries, width) of those labels: (*labels' shape, width). See take."""
    return take(table, labels)


@op
def _take(needs, x, *, index, axis):
    shape = x.shape[:axis] + index.shape + x.shape[axis + 1:]
    outer, size, inner = math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1:])
    device, sizes = device_of(x), (outer, size, index.size, inner)
    y, dtype, x_shape = device.empty(shape, x.dtype), x.dtype, x.shape
    launch("take", pixels(outer * index.size if inner else 0, inner), x, index, y, *sizes)

    def backward(dy, into):
        if index.size == 0:
            return device.zeros(x_shape, dtype)
        dx = device.empty(x_shape, dtype)
        launch("take_backward", pixels(outer * size if inner else 0, inner), dy, index, dx, *sizes)
        return dx

    return y, backward


def index(x, key) -> Tensor:
    """x[key] as NumPy has it: whole numbers, slices, ..., None, and whole-number arrays (or lists) on neighbouring axes.

    Always a copy. Gradients of entries that are taken several times add up.

    Raises:
        IndexError: a place that x does not have, or a key of another kind: a mask (its size would have to be read from
            the device), or arrays that have other axes between them.
    """
    array = x.data if isinstance(x, Tensor) else x
    keys = list(key) if isinstance(key, tuple) else [key]
    several = [i for i, k in enumerate(keys) if isinstance(k, list) or getattr(k, "ndim", 0)]
    for k in keys:
        if not (isinstance(k, (int, slice, np.integer, list, type(None), type(Ellipsis))) or hasattr(k, "dtype")) or isinstance(
                k, (bool, np.bool_)) or getattr(getattr(k, "dtype", None), "kind", "i") not in "iu":
            raise IndexError(f"index: cannot take {k!r}: takes whole numbers and arrays of them, slices, ... and None")
        if getattr(k, "ndim", 1) == 0 and not isinstance(k, (np.ndarray, np.generic)):
            raise IndexError("index: a single number must be known on the host, not be an array on a GPU")
    keys = [int(k) if isinstance(k, np.ndarray) and k.ndim == 0 else k for k in keys]
    if not several:
        return view_of(x, key=tuple(keys))
    if several != list(range(several[0], several[-1] + 1)) or any(isinstance(k, (int, np.integer)) for k in keys):
        raise IndexError("index: arrays must stand beside each other, without single numbers; index in two steps")
    basic = view_of(x, key=tuple(slice(None) if i in several else k for i, k in enumerate(keys)))
    # Where the first array stands in `basic`: every key before it is one axis there, but ... those that are not named.
    before, named = keys[:several[0]], sum(k is not None and k is not Ellipsis for k in keys)
    dots = any(k is Ellipsis for k in before)
    axis = len(before) + (array.ndim - named - 1 if dots else 0)
    return _take_several(basic, [keys[i] for i in several], axis)


def _take_several(x: Tensor, arrays: list, axis: int) -> Tensor:
    """x[:, ..., arrays[0], arrays[1], ...] with the first at an axis."""
    if len(arrays) == 1:
        return take(x, arrays[0], axis)
    sizes = x.shape[axis:axis + len(arrays)]
    found = np.broadcast_arrays(*(_whole_numbers(a) for a in arrays))
    for a, size in zip(found, sizes, strict=True):
        if a.size and not -size <= a.min() <= a.max() < size:
            raise IndexError(f"index: {a.min()} to {a.max()} leave 0 to {size - 1}")
    flat = np.ravel_multi_index([_from_front(a, size) for a, size in zip(found, sizes, strict=True)], sizes)
    return take(reshape(x, (*x.shape[:axis], math.prod(sizes), *x.shape[axis + len(arrays):])), flat, axis)


def _whole_numbers(values) -> np.ndarray:
    """An array or a list as an array of whole numbers.

    Raises:
        IndexError: it holds others, such as a mask's.
    """
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise IndexError(f"index: cannot take an array of {array.dtype}: takes arrays of whole numbers")
    return array.astype(np.int64)
