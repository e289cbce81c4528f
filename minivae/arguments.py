"""What a kernel's arguments must be, and how they are handed on.

Checks cost more than a small launch, so what is plainly right is told from all else by straight-line code, written for
each kernel from its parameters: on a CPU the arguments are packed into bytes, with which the kernel's entry in C++ checks
the arrays (kernels/host/launch.h), on a GPU one Python expression checks them. What these refuse goes through proper(),
which says what is wrong or brings it into the plain form.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from minivae.device import ALIGNMENT, Device



class Scalar(NamedTuple):
    """A C type of parameters: in NumPy, in ctypes, in struct's format."""

    numpy: type
    ctypes: type
    format: str


SCALARS = {
    "int": Scalar(np.int32, ctypes.c_int32, "i"), "uint32": Scalar(np.uint32, ctypes.c_uint32, "I"),
    "uint8": Scalar(np.uint8, ctypes.c_uint8, "B"), "int64": Scalar(np.int64, ctypes.c_int64, "q"),
    "uint64": Scalar(np.uint64, ctypes.c_uint64, "Q"), "float": Scalar(np.float32, ctypes.c_float, "f"),
    "double": Scalar(np.float64, ctypes.c_double, "d"),
}
LIMITS = {np.dtype(t.numpy): (int(np.iinfo(t.numpy).min), int(np.iinfo(t.numpy).max))
          for t in SCALARS.values() if t.format not in "fd"}
REFUSED = (struct.error, OverflowError, TypeError)      # what packing raises where a number is of another type or too large
_HEADER = object.__basicsize__      # bytes before the first field of a PyArrayObject


class Parameter(NamedTuple):
    """One parameter of a kernel, as its source declares it."""

    name: str
    ctype: str          # "real" or a key of SCALARS
    pointer: bool
    const: bool

    def declaration(self) -> str:
        """The parameter in C++."""
        return f"{'const ' * self.const}{self.ctype}{'*' * self.pointer} {self.name}"


class Check(NamedTuple):
    """What one argument must be: an array of that dtype, which is only read where it is const, or a number of it."""

    name: str
    pointer: bool
    const: bool
    dtype: np.dtype
    scalar: Scalar


def checks_of(parameters: tuple[Parameter, ...], real: str) -> list[Check]:
    """The checks of a kernel's arguments where `real` is float or double."""
    kinds = [SCALARS[real if p.ctype == "real" else p.ctype] for p in parameters]
    return [Check(p.name, p.pointer, p.const, np.dtype(kind.numpy), kind)
            for p, kind in zip(parameters, kinds, strict=True)]


# ---- what is plainly right ----

def configure_host(library: ctypes.CDLL, run: ctypes.c_void_p) -> None:
    """Tell a library of kernels what runs blocks, and by what it knows NumPy's arrays."""
    dtypes = (ctypes.c_void_p * len(SCALARS))(*(id(np.dtype(kind.numpy)) for kind in SCALARS.values()))
    library.minivae_configure(run, ctypes.c_int64(_HEADER), ctypes.py_object(np.ndarray), dtypes)


def host_launch(entry, checks: list[Check], grids: Mapping) -> Callable[..., bool]:
    """(work, *arguments) -> whether they were right, and the kernel has run.

    Args:
        grids: a piece of work to its grid.

    Raises:
        Some of REFUSED: a number does not fit; nothing has run.
    """
    pack = struct.Struct("II" + "".join("P" if check.pointer else check.scalar.format for check in checks)).pack
    names = [f"a{i}" for i in range(len(checks))]
    passed = ", ".join(f"id({name})" if check.pointer else name for name, check in zip(names, checks, strict=True))
    return eval(f"lambda work, {', '.join(names)}: entry(pack((grid := grids[work])[0], grid[1], {passed}))",
                {"entry": entry, "pack": pack, "grids": grids, "id": id})


def cuda_launch(device: Device, function, checks: list[Check], grids: Mapping) -> Callable[..., bool]:
    """(work, *arguments) -> whether they were right, and the kernel was launched; `grids` gives a work's grid and block."""
    known = {"type": type, "int": int, "float": float, "isinstance": isinstance, "ndarray": device.array_type,
             "function": function, "grids": grids}
    conditions, passed = [], []
    for i, check in enumerate(checks):
        a, dtype, scalar = f"a{i}", f"dtype{i}", f"scalar{i}"
        known[dtype], known[scalar] = check.dtype, check.scalar.numpy
        passed.append(a if check.pointer else f"{scalar}({a})")     # CuPy sends NumPy's scalars as they are
        if check.pointer:
            conditions.append(f"isinstance({a}, ndarray) and {a}.dtype == {dtype} and {a}.size and {a}.flags.c_contiguous "
                              f"and not (at := {a}.data).ptr % {ALIGNMENT} and at.device_id == {device.index}")
        elif check.dtype in LIMITS:
            least, most = LIMITS[check.dtype]
            conditions.append(f"type({a}) is int and {least} <= {a} <= {most}")
        else:
            conditions.append(f"type({a}) is float")
    names = ", ".join(f"a{i}" for i in range(len(checks)))
    return eval(f"lambda work, {names}: function(*grids[work], ({', '.join(passed)},)) is None "
                f"if {' and '.join(conditions)} else False", known)


# ---- all else ----

def proper(kernel: str, device: Device, value, check: Check):
    """An argument in the plain form that host_launch and cuda_launch take.

    Raises:
        TypeError: an array of another dtype or on another device, or none; no number.
        ValueError: an array that is not contiguous, not aligned, read-only or empty; a number out of range.
    """
    what = f"kernel {kernel}: argument {check.name}"
    if not check.pointer:
        return _proper_scalar(what, value, check)
    _require_array(what, device, value, check)
    if device.address_of(value) % ALIGNMENT:
        raise ValueError(f"{what} begins at an address that is no multiple of {ALIGNMENT} bytes; copy the slice first")
    return value if device.cuda else np.asarray(value).view(check.dtype)    # no subclass, and the very dtype


def _require_array(what: str, device: Device, value, check: Check) -> None:
    if not device.owns(value):
        raise TypeError(f"{what} must be an array on {device.name}, got {type(value).__module__}.{type(value).__name__} on "
                        f"{getattr(value, 'device', 'no device')}")
    if value.dtype != check.dtype:
        raise TypeError(f"{what} must be {check.dtype}, got {value.dtype}")
    if not value.flags.c_contiguous:
        raise ValueError(f"{what} of shape {value.shape} is not C-contiguous")
    if value.size == 0:
        raise ValueError(f"{what} of shape {value.shape} is empty")
    if not device.cuda and not check.const and not value.flags.writeable:
        raise ValueError(f"{what} is written to, but the array is read-only")


def _proper_scalar(what: str, value, check: Check) -> int | float:
    try:
        if check.dtype not in LIMITS:
            return check.scalar.ctypes(value).value     # in its precision: too large a number is infinite there
        whole = int(value)
    except (TypeError, ValueError, OverflowError):      # no number, NaN, infinity
        raise TypeError(f"{what} must be a number of {check.dtype}, got {value!r}") from None
    least, most = LIMITS[check.dtype]
    if whole != value or not least <= whole <= most:
        raise ValueError(f"{what} = {value} does not fit {check.dtype}")
    return whole
