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
from numpy import ndarray

from minivae import sources, trace
from minivae.arguments import REFUSED, checks_of, configure_host, cuda_launch, host_launch, proper
from minivae.device import Device, cpu, device_of, known
from minivae.gpu.errors import driver_answer
from minivae.host import compiler
from minivae.sources import signature_of, signatures, source, stem_of, stems
from minivae.system import kernel_folder
from minivae.work import MAX_GRID_Y, Work, geometry

NO_REAL = np.dtype(np.float32)      # the build that runs kernels without real numbers
GRIDS = 4096                        # so many are kept for a kernel
REAL_NAMES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


# ---- compiling ----

@cache
def host_source(stem: str) -> str:
    """A kernel file as C++ with a launch entry for each kernel."""
    entries = "".join(f"MINIVAE_ENTRY({name})\n" for name in signatures(stem))
    shared = "".join((kernel_folder() / "host" / name).read_text() for name in ("array.h", "launch.h"))
    return source(stem) + shared + entries


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
        names = " and ".join(map(str, dtypes))
        compiler.say_once(f"compiling {missing} kernel files for this processor ({names}), once ...")
    with ThreadPoolExecutor(device.threads) as executor:
        try:
            host = executor.submit(lambda: device.host)
            list(executor.map(lambda job: _host_library(*job), jobs))
            host.result()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            compiler.stop()     # or the executor would wait for them
            raise


# ---- launching ----

class _Grids(dict):
    """What a kernel's launches for each piece of work begin with, kept once it is known: (grid, block), on a CPU the grid."""

    def __init__(self, kernel: Kernel):
        super().__init__()
        self._kernel = kernel

    def __missing__(self, work: Work):
        if work.count == 0:
            raise TypeError("there is nothing to launch")       # one of REFUSED: Kernel.run looks again
        kernel = self._kernel
        grid, block = geometry(work, kernel.cuda, kernel.itemsize)
        if grid[1] > MAX_GRID_Y:
            raise ValueError(f"kernel {kernel.name}: {grid[1]} slabs are more than CUDA's {MAX_GRID_Y}")
        if len(self) >= GRIDS:
            self.clear()
        made = self[work] = (grid, block) if kernel.cuda else grid
        return made


class Kernel:
    """A compiled kernel with the checks of its arguments.

    Attributes:
        launch: (work, *arguments) -> whether the arguments were plainly right, and the kernel has run or was launched;
            may raise one of REFUSED where not.
    """

    def __init__(self, device: Device, name: str, dtype: np.dtype):
        stem = stem_of(name)
        self.device, self.name, self.itemsize = device, name, dtype.itemsize
        self.checks = checks_of(signature_of(name), REAL_NAMES[dtype])
        self.count, self.cuda = len(self.checks), device.cuda
        if device.cuda:
            self.launch = cuda_launch(device, _cuda_function(device, stem, name, dtype), self.checks, _Grids(self))
        else:
            library = _host_library(stem, dtype)
            configure_host(library, device.host.run)
            self.launch = host_launch(getattr(library, f"launch_{name}"), self.checks, _Grids(self))

    def run(self, work: Work, args: tuple) -> None:     # no __call__: Python takes longer to find that
        """Check the arguments and launch the kernel; see launch()."""
        if len(args) != self.count:
            raise TypeError(f"kernel {self.name} takes {self.count} arguments "
                            f"({', '.join(check.name for check in self.checks)}), got {len(args)}")
        if work.count == 0:
            return
        try:
            done = self.launch(work, *args)
        except REFUSED:
            done = False
        if done:
            return
        args = [proper(self.name, self.device, *pair) for pair in zip(args, self.checks, strict=True)]
        if not self.launch(work, *args):
            raise RuntimeError(f"kernel {self.name}: its arguments were refused, for no known reason; nothing ran")


def is_array(value) -> bool:
    """Whether a value is an array, one of no dimensions included, and not NumPy's kind of a number."""
    return isinstance(value, np.ndarray) or (hasattr(value, "dtype") and not isinstance(value, np.generic))


@cache
def _first_array(kernel: str) -> int:
    """The number of a kernel's first parameter that is an array of real numbers, or where none is of any."""
    pointers = [i for i, p in enumerate(signature_of(kernel)) if p.pointer]
    return min(pointers, key=lambda i: (signature_of(kernel)[i].ctype != "real", i))


def _kernel(device: Device, name: str, dtype: np.dtype) -> Kernel:
    """A kernel for a device, kept there for the next time; `dtype` is that of its first array."""
    real = dtype if dtype.kind == "f" else NO_REAL
    if real not in REAL_NAMES:
        raise TypeError(f"kernel {name}: arrays must be float32 or float64, got {real}")
    made = device.kernels[name, dtype] = Kernel(device, name, real)
    return made


_latest: dict[str, tuple] = {}      # kernel: of its latest launch on the CPU (first array's place, its dtype, Kernel.launch)


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
    latest = _latest.get(name)
    if latest is not None and trace.active is None:     # the way of nearly all launches on a CPU, which are many and small
        place, dtype, run = latest
        try:
            first = args[place]
            if type(first) is ndarray and first.dtype is dtype and run(work, *args):
                return
        except (IndexError, *REFUSED):
            pass
    _launch(name, work, args)


def _launch(name: str, work: Work, args: tuple) -> None:
    """What launch() does where it cannot take the short way: find the kernel, check with words, tell a trace."""
    place = _first_array(name)
    first = args[place] if place < len(args) else None
    if type(first) is np.ndarray:
        device = cpu()
    elif is_array(first):
        device = device_of(first)
    else:
        raise TypeError(f"kernel {name}: no array among the arguments" if not any(map(is_array, args)) else
                        f"kernel {name}: argument {signature_of(name)[place].name} must be an array, got {first!r}")
    kernel = device.kernels.get((name, first.dtype)) or _kernel(device, name, first.dtype)
    if not device.cuda:
        _latest[name] = place, first.dtype, kernel.launch
    if trace.active is None or work.count == 0:
        kernel.run(work, args)
    else:
        trace.active.launch(name, args, lambda: kernel.run(work, args))


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
    _latest.clear()
    for device in known():
        device.kernels.clear()
    return names
