"""Kernels: find, read the signature, compile, cache, check the arguments, launch.

Together with work.py the one place with grids, blocks and pointers. Each kernel's parameter list is read from its
source, and every launch is checked against it on either device, since CUDA itself checks nothing: a wrong
call fails on a laptop as it would on a GPU.
"""

from __future__ import annotations

import ctypes
import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from minivae import compiler, trace
from minivae.arguments import REFUSED, SCALARS, Parameter, checks_of, configure_host, cuda_launch, host_launch, proper
from minivae.device import Device, cpu, device_of, driver_answer
from minivae.system import kernel_folder
from minivae.work import MAX_GRID_Y, Work, geometry

# ---- sources and signatures ----

NO_REAL = np.dtype(np.float32)      # the build that runs kernels without real numbers
REAL_NAMES = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
PARAMETER = re.compile(r"(const )?(\w+)(\s*\*)?\s*(?:__restrict__)?\s*(\w+)$")
INCLUDE = re.compile(r'#include "([\w./]+)"\n')


def _parse(kernel: str, text: str) -> tuple[Parameter, ...]:
    parameters = []
    for declared in (" ".join(part.split()) for part in text.split(",")):
        match = PARAMETER.match(declared)
        if match is None or match[2] not in ("real", *SCALARS):
            raise ValueError(f"kernel {kernel}: cannot read the parameter '{declared}'; types are real, "
                             f"{', '.join(SCALARS)} and pointers to them")
        parameters.append(Parameter(match[4], match[2], bool(match[3]), bool(match[1])))
    return tuple(parameters)


@cache
def source(stem: str) -> str:
    """The text of kernels/<stem>.cu with our own headers pasted in, each once: no compiler's cache
    can then miss that a header has changed. Compilers are told each line's file and number."""
    pasted: set[str] = set()

    def paste(name: str) -> str:
        if name in pasted:
            return ""
        pasted.add(name)
        text = (kernel_folder() / name).read_text().replace("#pragma once\n", "\n")
        lines = (paste(match[1]) + f'#line {number} "{name}"\n' if (match := INCLUDE.match(line)) else line
                 for number, line in enumerate(text.splitlines(keepends=True), 2))
        return f'#line 1 "{name}"\n' + "".join(lines)

    return paste(f"{stem}.cu")


@cache
def stems() -> tuple[str, ...]:
    """The names of all kernel files, without .cu."""
    return tuple(sorted(path.stem for path in kernel_folder().glob("*.cu")))


@cache
def signatures(stem: str) -> dict[str, tuple[Parameter, ...]]:
    """The kernels of a file and their parameters."""
    return {name: _parse(name, text) for name, text in KERNEL.findall(source(stem))}


@cache
def _stem_of(kernel: str) -> str:
    for stem in stems():
        if kernel in signatures(stem):
            return stem
    raise KeyError(f"no kernel {kernel!r} in {kernel_folder()}")


def signature_of(kernel: str) -> tuple[Parameter, ...]:
    """The parameters of a kernel.

    Raises:
        KeyError: no such kernel.
    """
    return signatures(_stem_of(kernel))[kernel]


def source_of(kernel: str) -> str:
    """The source that a kernel is in; see source().

    Raises:
        KeyError: no such kernel.
    """
    return source(_stem_of(kernel))


# ---- compiling ----

@cache
def host_source(stem: str) -> str:
    """A kernel file as C++ with a launch entry for each kernel."""
    entries = "".join(f"MINIVAE_ENTRY({name})\n" for name in signatures(stem))
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


def prepare(device: Device, dtype=np.float32) -> None:
    """Compile every kernel for a device now, rather than at the first launch, and say so where that takes time.

    Raises:
        MinivaeError: no compiler, or it failed.
    """
    dtype = np.dtype(dtype)
    if device.cuda:
        compiler.say_once("preparing kernels for the GPU; the first time takes longer ...")
        for stem in stems():
            for name in signatures(stem):
                _cuda_function(device, stem, name, dtype)
        return
    missing = sum(not compiler.path_of(s, host_source(s), _defines(dtype)).exists() for s in stems())
    if missing:
        compiler.say_once(f"compiling {missing} kernel files for this processor, once ...")
    with ThreadPoolExecutor(device.threads) as executor:
        host = executor.submit(lambda: device.host)
        list(executor.map(lambda stem: _host_library(stem, dtype), stems()))
        host.result()


# ---- launching ----

class Kernel:
    """A compiled kernel with the checks of its arguments."""

    def __init__(self, device: Device, name: str, dtype: np.dtype):
        stem = _stem_of(name)
        self.device, self.name, self.itemsize = device, name, dtype.itemsize
        self.checks = checks_of(signature_of(name), REAL_NAMES[dtype])
        self.count, self.cuda = len(self.checks), device.cuda
        if device.cuda:
            self._launch = cuda_launch(device, _cuda_function(device, stem, name, dtype), self.checks)
        else:
            library = _host_library(stem, dtype)
            configure_host(library, device.host.run)
            self._launch = host_launch(getattr(library, f"launch_{name}"), self.checks)

    def run(self, work: Work, args: tuple) -> None:     # no __call__: Python takes longer to find that
        """Check the arguments and launch the kernel; see launch()."""
        if len(args) != self.count:
            raise TypeError(f"kernel {self.name} takes {self.count} arguments "
                            f"({', '.join(check.name for check in self.checks)}), got {len(args)}")
        if work.count == 0:
            return
        grid, block = geometry(work, self.cuda, self.itemsize)
        if grid[1] > MAX_GRID_Y:
            raise ValueError(f"kernel {self.name}: {grid[1]} slabs are more than CUDA's {MAX_GRID_Y}")
        try:
            done = self._launch(grid, block, *args)
        except REFUSED:
            done = False
        if not done:
            self._launch(grid, block, *[proper(self.name, self.device, *pair) for pair in zip(args, self.checks, strict=True)])


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
        device = cpu()
    elif is_array(first):
        device = device_of(first)
    else:
        raise TypeError(f"kernel {name}: no array among the arguments" if not any(map(is_array, args)) else
                        f"kernel {name}: argument {signature_of(name)[place].name} must be an array, got {first!r}")
    kernel = device.kernels.get((name, first.dtype)) or _kernel(device, name, first.dtype)
    if trace.active is None or work.count == 0:
        kernel.run(work, args)
    else:
        trace.active.launch(name, args, lambda: kernel.run(work, args))
