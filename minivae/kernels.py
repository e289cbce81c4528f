"""Kernels: compile, cache, check the arguments, launch.

Together with work.py the one place with grids, blocks and pointers. Each kernel's parameter list is read from its
source (sources.py), and every launch is checked against it on either device, since CUDA itself checks nothing: a wrong
call fails on a laptop as it would on a GPU.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

from minivae import compiler, sources, trace
from minivae.device import Device, cpu, device_of, driver_answer
from minivae.host import address
from minivae.sources import SCALARS, signature_of, signatures, source, stem_of, stems
from minivae.system import kernel_folder
from minivae.work import MAX_GRID_Y, Work, geometry

ALIGNMENT = 16      # bytes: every pointer that a kernel gets is a multiple of this
CONTIGUOUS, GOOD_FLAGS = 0x1, 0x401     # of NumPy's flags.num: C-contiguous; that and writeable

LIMITS = {np.dtype(t): (int(np.iinfo(t).min), int(np.iinfo(t).max)) for t, _ in SCALARS.values() if t(0).dtype.kind != "f"}
NO_REAL = np.dtype(np.float32)      # the build that runs kernels without real numbers
REAL_NAMES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


# ---- compiling ----

@cache
def host_source(stem: str) -> str:
    """A kernel file as C++ with a launch entry for each kernel."""
    entries = "".join(
        f"MINIVAE_ENTRY({name}, ({', '.join(p.declaration() for p in parameters)}), "
        f"({', '.join(p.name for p in parameters)}))\n"
        for name, parameters in signatures(stem).items())
    return source(stem) + (kernel_folder() / "host" / "launch.h").read_text() + entries


def _defines(dtype: np.dtype) -> tuple[str, ...]:
    return (f"REAL={REAL_NAMES[dtype]}",)


def cuda_options(dtype: np.dtype) -> tuple[str, ...]:
    """The options that NVRTC gets from us; CuPy adds -ftz=true and the architecture."""
    return ("--std=c++17", *(f"-D{define}" for define in _defines(dtype)))


@cache
def _host_library(stem: str, dtype: np.dtype) -> ctypes.CDLL:
    return compiler.load(compiler.build(stem, host_source(stem), _defines(dtype)))


@cache
def _cuda_module(device: Device, stem: str, dtype: np.dtype):
    return device.cupy.RawModule(code=source(stem), options=cuda_options(dtype), backend="nvrtc")


def _cuda_function(device: Device, stem: str, name: str, dtype: np.dtype):
    return driver_answer(lambda: _cuda_module(device, stem, dtype).get_function(name))


def prepare(device: Device, *dtypes) -> None:
    """Compile every kernel for a device now, rather than at the first launch, and say so where that takes time.

    Args:
        dtypes: float32 or float64 or both; float32 where none is named.

    Raises:
        MinivaeError: no compiler, or it failed.
    """
    dtypes = [np.dtype(dtype) for dtype in dtypes or (np.float32,)]
    jobs = [(stem, dtype) for dtype in dtypes for stem in stems()]
    if device.cuda:
        compiler.say_once("preparing kernels for the GPU; the first time takes longer ...")
        for stem, dtype in jobs:
            for name in signatures(stem):
                _cuda_function(device, stem, name, dtype)
        return
    missing = sum(not compiler.path_of(stem, host_source(stem), _defines(dtype)).exists() for stem, dtype in jobs)
    if missing:
        compiler.say_once(f"compiling {missing} kernel files for this processor, once ...")
    with ThreadPoolExecutor(device.threads) as executor:
        host = executor.submit(lambda: device.host)
        list(executor.map(lambda job: _host_library(*job), jobs))
        host.result()


# ---- launching ----

class Kernel:
    """A compiled kernel with the checks of its arguments."""

    def __init__(self, device: Device, name: str, dtype: np.dtype):
        stem = stem_of(name)
        self.device, self.name, self.dtype = device, name, dtype
        self.parameters = signature_of(name)
        real = REAL_NAMES[dtype]
        self.types = [SCALARS[real if p.ctype == "real" else p.ctype] for p in self.parameters]
        self.checks = [(p.pointer, p.const, np.dtype(t[0]), t[0], p.name)
                       for p, t in zip(self.parameters, self.types, strict=True)]
        if device.cuda:
            self.function = _cuda_function(device, stem, name, dtype)
            return
        self.function = getattr(_host_library(stem, dtype), f"launch_{name}")
        self.function.restype = None
        self.function.argtypes = [ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint, *(
            ctypes.c_void_p if p.pointer else t[1] for p, t in zip(self.parameters, self.types, strict=True))]
        self.run = device.host.run

    def __call__(self, work: Work, *args) -> None:
        if len(args) != len(self.checks):
            raise TypeError(f"kernel {self.name} takes {len(self.checks)} arguments "
                            f"({', '.join(p.name for p in self.parameters)}), got {len(args)}")
        if work.count == 0:
            return
        grid, block = geometry(work, self.device.cuda, self.dtype.itemsize)
        if grid[1] > MAX_GRID_Y:
            raise ValueError(f"kernel {self.name}: {grid[1]} slabs are more than CUDA's {MAX_GRID_Y}")
        if self.device.cuda:
            self.function(grid, block, tuple(map(self._cuda_argument, args, self.checks)))
        else:
            self.function(self.run, *grid, *self._host_arguments(args))

    def _host_arguments(self, args) -> list:
        """The arguments as ctypes takes them. What is plainly right is passed on here, since a small launch costs no more
        than its checks; all else goes to _host_argument, which says what is wrong."""
        passed = []
        for value, check in zip(args, self.checks, strict=True):
            pointer, const, dtype, _, _ = check
            if pointer:
                if type(value) is np.ndarray and value.dtype is dtype and value.size and (
                        value.flags.num & GOOD_FLAGS == GOOD_FLAGS or const and value.flags.num & CONTIGUOUS):
                    at = address(value)
                    if at % ALIGNMENT == 0:
                        passed.append(at)
                        continue
            elif type(value) is float and dtype.kind == "f":
                passed.append(value)
                continue
            passed.append(self._host_argument(value, check))
        return passed

    def _host_argument(self, value, check):
        pointer, const, dtype, _, name = check
        if not pointer:
            return self._scalar(value, dtype, name)
        self._check_array(value, dtype, name)
        if not const and not value.flags.writeable:
            raise ValueError(f"kernel {self.name}: argument {name} is written to, but the array is read-only")
        at = address(value)
        self._check_address(at, name)
        return at

    def _cuda_argument(self, value, check):
        pointer, _, dtype, scalar, name = check
        if not pointer:
            return scalar(self._scalar(value, dtype, name))     # CuPy sends NumPy scalars as they are
        self._check_array(value, dtype, name)
        self._check_address(value.data.ptr, name)
        return value

    def _check_array(self, value, dtype: np.dtype, name: str) -> None:
        if not self.device.owns(value):
            raise TypeError(f"kernel {self.name}: argument {name} must be an array on {self.device.name}, "
                            f"got {type(value).__module__}.{type(value).__name__} on {getattr(value, 'device', 'no device')}")
        if value.dtype != dtype:
            raise TypeError(f"kernel {self.name}: argument {name} must be {dtype}, got {value.dtype}")
        if not value.flags.c_contiguous:
            raise ValueError(f"kernel {self.name}: argument {name} of shape {value.shape} is not C-contiguous")
        if value.size == 0:
            raise ValueError(f"kernel {self.name}: argument {name} of shape {value.shape} is empty")

    def _check_address(self, at: int, name: str) -> None:
        if at % ALIGNMENT:
            raise ValueError(f"kernel {self.name}: argument {name} begins at an address that is no multiple of "
                             f"{ALIGNMENT} bytes; copy the slice first")

    def _scalar(self, value, dtype: np.dtype, name: str):
        if dtype.kind == "f":
            return float(value)
        whole = int(value)
        least, most = LIMITS[dtype]
        if whole != value or not least <= whole <= most:
            raise ValueError(f"kernel {self.name}: argument {name} = {value} does not fit {dtype}")
        return whole


_kernels: dict[tuple[int, str, np.dtype], Kernel] = {}


def is_array(value) -> bool:
    """Whether a value is an array, one of no dimensions included, and not NumPy's kind of a number."""
    return isinstance(value, np.ndarray) or (hasattr(value, "dtype") and not isinstance(value, np.generic))


@cache
def _first_array(kernel: str) -> int:
    """The number of a kernel's first parameter that is an array of real numbers, or where none is of any."""
    pointers = [i for i, p in enumerate(signature_of(kernel)) if p.pointer]
    return min(pointers, key=lambda i: (signature_of(kernel)[i].ctype != "real", i))


def launch(name: str, work: Work, *args) -> None:
    """Launch a kernel on the device that its arrays are on.

    Args:
        name: the kernel's name in its source.
        work: what it covers: elements(n), rows(n, width), columns(n, slabs) or blocks(n). Of size 0,
            nothing is launched.
        args: arrays and scalars in the order of the kernel's parameters. `real` is the dtype of the first
            floating array.

    Raises:
        TypeError: wrong number of arguments, an array of the wrong dtype or on another device.
        ValueError: an array that is not contiguous, not aligned, read-only or empty; a scalar out of range.
        KeyError: no such kernel.
    """
    place = _first_array(name)
    first = args[place] if place < len(args) else None
    if type(first) is np.ndarray:
        device, dtype = cpu(), first.dtype
    else:
        if not is_array(first):
            raise TypeError(f"kernel {name}: no array among the arguments" if not any(map(is_array, args)) else
                            f"kernel {name}: argument {signature_of(name)[place].name} must be an array, got {first!r}")
        device, dtype = device_of(first), first.dtype
    if dtype.kind != "f":
        dtype = NO_REAL
    kernel = _kernels.get((id(device), name, dtype))
    if kernel is None:
        if dtype not in REAL_NAMES:
            raise TypeError(f"kernel {name}: arrays must be float32 or float64, got {dtype}")
        kernel = _kernels[id(device), name, dtype] = Kernel(device, name, dtype)
    if trace.active is None or work.count == 0:
        kernel(work, *args)
    else:
        trace.active.launch(name, args, lambda: kernel(work, *args))


def add_kernels(file: str | Path) -> tuple[str, ...]:
    """Make the kernels of another file than minivae's own known to launch(). They are compiled at their first launch.

    Kernels of a file that was added before and has one of the same name are forgotten: so one may edit a file, add it anew
    and go on.

    Args:
        file: a .cu file's path; or its text, a string of more than one line. It includes "portable.cuh" and what else it
            likes of minivae's headers and those beside it, and keeps the contract that stands at portable.cuh's top.

    Returns:
        names: of its kernels.

    Raises:
        MinivaeError: no such file or header, no kernel in it, or one of the name of a kernel of minivae's.
        ValueError: a parameter of a type that no launch can check.
    """
    names = sources.add(file)
    _first_array.cache_clear()
    _kernels.clear()
    return names
