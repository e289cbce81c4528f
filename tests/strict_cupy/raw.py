"""cupy.RawModule over the emulator: CuPy's marshaling (cupy/cuda/function.pyx) and the driver's limits."""

from __future__ import annotations

from functools import cache

import cupy
import emulator
import numpy as np
from cupy.cuda import nvrtc

from strict_cupy import cuda, ledger
from strict_cupy.array import span

BLOCK_LIMITS, GRID_LIMITS, MOST_THREADS = (1024, 1024, 64), (2**31 - 1, 65535, 65535), 1024
SHARED_LIMIT = 48 << 10         # bytes of dynamic shared memory without a special attribute
SENT_AS_THEY_ARE = {np.dtype(char).type for char in "?bhilqBHILQefdFD"}


class CUDADriverError(RuntimeError):
    """Stands for the class of that name, which only a driver can fill with its words."""


class RawModule:
    """A kernel file, compiled when a kernel is first asked for."""

    def __init__(self, *, code=None, options=(), backend="nvrtc"):
        for name, value, kind in (("code", code, str), ("options", options, tuple), ("backend", backend, str)):
            if not isinstance(value, kind):
                raise TypeError(f"Argument '{name}' has incorrect type (expected {kind.__name__}, got "
                                f"{type(value).__name__})")
        if backend != "nvrtc":
            raise NotImplementedError("the stand-in knows NVRTC only")
        self._code, self._options, self._module = code, options, None

    def get_function(self, name) -> RawKernel:
        if self._module is None:
            _require_known(self._options)
            self._module = emulator.Module(self._code, self._options)
        try:
            return RawKernel(name, self._module.function(name))
        except emulator.EmulatorError as error:
            raise CUDADriverError("CUDA_ERROR_NOT_FOUND: named symbol not found") from error


@cache
def _require_known(options: tuple[str, ...]) -> None:
    """NVRTC's own opinion of the options, beside those that CuPy adds.

    Raises:
        cupy.cuda.nvrtc.NVRTCError: an option that it does not know.
    """
    program = nvrtc.createProgram("", "options.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*options, "-ftz=true", "--gpu-architecture=sm_90"))
    finally:
        nvrtc.destroyProgram(program)


class RawKernel:
    """A kernel that can be launched."""

    def __init__(self, name: str, function):
        self.name, self._function = name, function

    def __call__(self, grid, block, args, *, shared_mem=0) -> None:
        for name, value in (("grid", grid), ("block", block)):
            if not isinstance(value, tuple):
                raise TypeError(f"Argument '{name}' has incorrect type (expected tuple, got {type(value).__name__})")
        grid, block = (tuple(max(1, size) for size in (*sizes, 1, 1)[:3]) for sizes in (grid, block))
        arguments = tuple(map(marshal, args))
        if (any(size > most for sizes, limits in ((grid, GRID_LIMITS), (block, BLOCK_LIMITS))
                for size, most in zip(sizes, limits, strict=True))
                or block[0] * block[1] * block[2] > MOST_THREADS or shared_mem > SHARED_LIMIT):
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        self._require_widths(arguments)
        ledger.launched(ledger.Launch(self.name, grid, block, arguments))
        extents = tuple(span(a) if isinstance(a, cupy.ndarray) and a.size else None for a in args)
        cuda.run(lambda: self._function.launch(grid, block, arguments, shared_mem, extents))

    def _require_widths(self, arguments: tuple[bytes, ...]) -> None:
        """Neither CuPy nor CUDA would see it: of a double for a float it takes the wrong half.

        Raises:
            emulator.EmulatorError: an argument has not as many bytes as its parameter.
        """
        for number, (given, taken) in enumerate(zip(map(len, arguments), self._function.sizes, strict=False)):
            if given != taken:
                raise emulator.EmulatorError(f"kernel {self.name}: argument {number} has {given} bytes, its parameter "
                                             f"{taken}")


def marshal(value) -> bytes:
    """An argument as the kernel finds it: arrays as their address, whatever their strides.

    Raises:
        TypeError: CuPy does not know the type.
    """
    if value is None:
        return bytes(8)
    if isinstance(value, cupy.ndarray):
        return np.uint64(value.data.ptr).tobytes()
    if type(value) in SENT_AS_THEY_ARE:
        return value.tobytes()
    for kind, sent in ((int, np.int64), (float, np.float64), (complex, np.complex128)):     # bool is an int
        if isinstance(value, kind):
            return sent(value).tobytes()
    raise TypeError(f"Unsupported type {type(value)}")
