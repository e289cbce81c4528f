"""The compiled side of a CPU: the one thread pool of the process, and the matrix products that run on it."""

from __future__ import annotations

import ctypes
import struct

import numpy as np

from minivae.host import compiler
from minivae.system import kernel_folder

SPINS = 20_000                      # how often an idle pool thread looks for work before it sleeps: some 0.3 ms
NO_MEMORY, STRIDED = 1, 2            # answers of kernels/host/gemm.cpp
_HEADER = object.__basicsize__      # bytes before the first field of a PyArrayObject, its data pointer


class Host:
    """The library of kernels/host/pool.cpp and gemm.cpp.

    Args:
        threads: how many threads the pool has.

    Raises:
        MinivaeError: no compiler, or it failed.
    """

    def __init__(self, threads: int):
        folder = kernel_folder() / "host"
        source = "".join((folder / name).read_text() for name in ("array.h", "pool.cpp", "gemm.cpp"))
        self.library = library = compiler.load(compiler.build("host", source))
        self.run = ctypes.cast(library.pool_run, ctypes.c_void_p)       # what a kernel's launch entry runs its blocks with
        self._gemm = {"f": library.gemm_float, "d": library.gemm_double}
        self._pack = struct.Struct("PPPi").pack
        library.gemm_configure(ctypes.c_int64(_HEADER))
        self.configure(threads)

    def configure(self, threads: int, spins: int = SPINS) -> None:
        """Give the pool so many threads, each of which looks for work `spins` times before it sleeps."""
        self.library.pool_configure(threads, spins)

    def multiply(self, a: np.ndarray, b: np.ndarray, out: np.ndarray, accumulate: bool) -> None:
        """out = a @ b, or += with `accumulate`: (m, k) @ (k, n), or a batch of such; shapes and dtypes fit, nothing is
        empty, and out's matrices are C-contiguous.

        Raises:
            MemoryError: no memory to pack the matrices into.
        """
        gemm = self._gemm[a.dtype.char]
        answer = gemm(self._pack(id(a), id(b), id(out), accumulate))
        if answer == STRIDED:
            a, b = _row_or_column_major(a), _row_or_column_major(b)
            answer = gemm(self._pack(id(a), id(b), id(out), accumulate))
        if answer == NO_MEMORY:
            raise MemoryError(f"no memory to multiply {a.shape} by {b.shape}")


def address(array: np.ndarray) -> int:
    """The address of a NumPy array's first element.

    Read from where NumPy's C interface puts it: array.ctypes.data says the same ten times more slowly, and a
    training step asks for two hundred addresses.
    """
    return ctypes.c_void_p.from_address(id(array) + _HEADER).value


def _row_or_column_major(a: np.ndarray) -> np.ndarray:
    """a, copied where neither its rows nor its columns are contiguous."""
    return a if a.itemsize in a.strides[-2:] else np.ascontiguousarray(a)
