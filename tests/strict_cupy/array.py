"""cupy.ndarray over the emulator's memory.

A subclass of the real class: what only looks at or rearranges the array (ITS_OWN) is CuPy's, what moves data is made
here through NumPy on copies, everything else is refused, since minivae does not use it.
"""

from __future__ import annotations

import math

import cupy
import emulator
import numpy as np

from strict_cupy import cuda, ledger
from strict_cupy.memory import get_default_memory_pool

# What stays CuPy's own: attributes and views.
ITS_OWN = {"T", "base", "data", "device", "dtype", "flags", "itemsize", "nbytes", "ndim", "shape", "size", "strides",
           "transpose", "view", "__array__", "__array_finalize__", "__array_priority__",
           "__class_getitem__", "__pyx_vtable__", "__iter__", "__len__", "__hash__"}
CONVERTS = "implicit conversion to a host array"


class ndarray(cupy.ndarray):  # noqa: N801  (CuPy's name)
    """An array in the emulator's memory; like cupy.ndarray's, its constructor leaves the memory uninitialized."""

    def __new__(cls, shape, dtype=float, memptr=None, strides=None, order="C"):
        dtype, shape = np.dtype(dtype), (shape,) if isinstance(shape, int) else tuple(shape)
        if min(shape, default=0) < 0:
            raise ValueError("Negative dimensions are not allowed")
        if memptr is None:
            memptr = get_default_memory_pool().malloc(math.prod(shape) * dtype.itemsize)
        return cupy.ndarray.__new__(cls, shape, dtype, memptr, strides, order)

    def __init__(self, shape, dtype=float, memptr=None, strides=None, order="C"):
        pass        # all is done in __new__, where views are not made

    # ---- to and from the host ----

    def get(self, stream=None, order="C", out=None) -> np.ndarray:
        if order != "C" or out is not None:
            raise NotImplementedError("the stand-in copies to new arrays in C order only")
        cuda.require_no_capture()
        if self.size:
            if not self.flags.c_contiguous:
                ledger.count("copy")
            ledger.count("to_host")
        return read(self)

    def set(self, arr, stream=None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self.flags.c_contiguous:
            raise NotImplementedError("the stand-in sets C-contiguous arrays only")
        cuda.require_no_capture()
        if self.size:
            ledger.count("to_device")
        write(self, arr)

    def item(self):
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().item()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size > 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()")
        return bool(self.item())

    # ---- copies and fills ----

    def copy(self, order="C"):
        if order != "C":
            raise NotImplementedError("the stand-in copies in C order only")
        copied = empty(self.shape, self.dtype)
        if self.size:
            queue("copy", lambda: write(copied, read(self)))
        return copied

    def fill(self, value) -> None:
        if isinstance(value, (np.ndarray, cupy.ndarray)):
            if value.shape != ():
                raise ValueError(f"non-scalar {type(value).__module__.split('.')[0]}.ndarray cannot be used for fill")
            value = value.item()
        if self.size:
            queue("memset" if value == 0 and self.flags.c_contiguous else "fill",
                  lambda: write(self, np.full(self.shape, value, self.dtype)))

    def reshape(self, *shape, order="C"):
        if order != "C":
            raise NotImplementedError("the stand-in reshapes in C order only")
        view = self.view()
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        try:
            view.shape = shape
        except AttributeError:      # CuPy's word for "not without a copy"
            view = self.copy()
            view.shape = shape
        return view

    def __getitem__(self, slices):
        _require_basic(slices)
        return cupy.ndarray.__getitem__(self, slices)

    def __setitem__(self, slices, value) -> None:
        place = self[slices]
        if not isinstance(value, cupy.ndarray):
            place.fill(np.asarray(value) if isinstance(value, (list, tuple)) else value)
        elif place.size and (place.data.ptr, place.shape, place.strides) != (value.data.ptr, value.shape, value.strides):
            queue("copy", lambda: write(place, np.broadcast_to(read(value), place.shape).astype(place.dtype)))

    def sum(self, axis=None, dtype=None, out=None, keepdims=False):
        if dtype is not None or out is not None:
            raise NotImplementedError("the stand-in sums into new arrays of the same dtype only")
        shape = np.sum(np.broadcast_to(np.zeros((), bool), self.shape), axis=axis, keepdims=keepdims).shape
        total = empty(shape, self.dtype)
        queue("sum", lambda: write(total, np.asarray(read(self).sum(axis=axis, dtype=self.dtype, keepdims=keepdims))))
        return total

    # ---- what mixes with NumPy ----

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        raise _unsupported(inputs, f"numpy.{ufunc.__name__}")

    def __array_function__(self, func, types, args, kwargs):
        raise _unsupported(args, f"numpy.{func.__name__}")

    def __repr__(self) -> str:
        return f"<array on {self.device.id}: {self.shape} {self.dtype}>"

    __str__ = __repr__


def _unsupported(operands, name: str) -> Exception:
    """What CuPy says to a NumPy array among its own; the stand-in refuses all others too."""
    for operand in operands:
        if isinstance(operand, np.ndarray):
            return TypeError(f"Unsupported type {type(operand)}")
    return NotImplementedError(f"the stand-in has no {name}: minivae does not use it")


def _refuse(name: str):
    """In place of a method that minivae does not use."""

    def method(self, *args, **kwargs):
        raise _unsupported(args, f"cupy.ndarray.{name}")

    return method if callable(getattr(cupy.ndarray, name)) else property(method)


PYTHONS_OWN = set(dir(object)) - {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"}
REFUSED = sorted(name for name in set(dir(cupy.ndarray)) - set(vars(ndarray)) - ITS_OWN - PYTHONS_OWN
                 if name[0] != "_" or name[:2] == "__")
for _name in REFUSED:
    setattr(ndarray, _name, _refuse(_name))


def _require_basic(slices) -> None:
    """Views only: other indices would launch kernels, and boolean masks stop the device."""
    for index in slices if isinstance(slices, tuple) else (slices,):
        if isinstance(index, bool) or not isinstance(index, (int, slice, np.integer, type(None), type(Ellipsis))):
            raise _unsupported((), f"index of type {type(index).__name__}")


# ---- the memory under arrays ----

def read(array) -> np.ndarray:
    """A copy of a device array.

    Raises:
        emulator.EmulatorError: nobody has written it, or some element of it.
    """
    if array.size == 0:
        return np.empty(array.shape, array.dtype)
    first, nbytes = span(array)
    if emulator.unwritten(first, nbytes) and not _bytes_of(array, emulator.written(first, nbytes)).all():
        raise emulator.EmulatorError(f"an array of shape {array.shape} is read, but nothing was written to some of it")
    memory = np.empty(nbytes, np.uint8)
    emulator.copy_out(first, memory)
    return np.array(np.ndarray(array.shape, array.dtype, memory, array.data.ptr - first, array.strides), order="C")


def write(array, values: np.ndarray) -> None:
    """Put values of the same shape and dtype into a device array; what lies between its elements stays as it is."""
    assert values.shape == array.shape and values.dtype == array.dtype
    if array.size == 0:
        return
    if array.flags.c_contiguous:
        emulator.copy_in(array.data.ptr, np.ascontiguousarray(values))
        return
    first, nbytes = span(array)
    memory, mask = np.empty(nbytes, np.uint8), np.zeros(nbytes, bool)
    np.ndarray(array.shape, array.dtype, memory, array.data.ptr - first, array.strides)[...] = values
    _bytes_of(array, mask)[...] = True
    emulator.copy_in_masked(first, memory, mask)


def _bytes_of(array, memory: np.ndarray) -> np.ndarray:
    """Of a byte (or bool) for each byte of an array's span, those of its elements: a view (*shape, itemsize)."""
    return np.ndarray((*array.shape, array.itemsize), memory.dtype, memory, array.data.ptr - span(array)[0],
                      (*array.strides, 1))


def span(array) -> tuple[int, int]:
    """(first address, bytes) of the memory from an array's lowest to its highest element."""
    steps = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
    first = array.data.ptr + sum(step for step in steps if step < 0)
    return first, array.data.ptr + sum(step for step in steps if step > 0) + array.itemsize - first


def overlap(a, b) -> bool:
    """Whether the memory from the lowest to the highest element of one touches the other's."""
    if a.size == 0 or b.size == 0:
        return False
    (first, nbytes), (other, length) = span(a), span(b)
    return first < other + length and other < first + nbytes


def queue(kind: str, call) -> None:
    """Do one piece of work on the current stream."""
    ledger.count(kind)
    cuda.run(call)


# ---- making arrays ----

def empty(shape, dtype=float, order="C"):
    return ndarray(shape, dtype, order=order)


def zeros(shape, dtype=float, order="C"):
    array = ndarray(shape, dtype, order=order)
    array.fill(0)
    return array


def asarray(a):
    if isinstance(a, ndarray):
        return a
    if not isinstance(a, np.ndarray):
        raise NotImplementedError("the stand-in takes NumPy arrays only")
    array = empty(a.shape, a.dtype)
    if not a.flags.c_contiguous:
        raise NotImplementedError("CuPy would keep the order 'K': minivae gives C-contiguous arrays only")
    array.set(a)
    return array


def asnumpy(a):
    if not isinstance(a, ndarray):
        raise TypeError(f"cupy.asnumpy gives back what is no device array, here {type(a)}: a copy was meant")
    return a.get()
