"""The compiled side of a CPU: the one thread pool of the process, and the matrix products that run on it."""

from __future__ import annotations

import ctypes

import numpy as np

from minivae import compiler
from minivae.system import kernel_folder

SPINS = 20_000                      # how often an idle pool thread looks for work before it sleeps: some 0.3 ms
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
        source = (folder / "pool.cpp").read_text() + (folder / "gemm.cpp").read_text()
        self.library = library = compiler.load(compiler.build("host", source))
        self.run = ctypes.cast(library.pool_run, ctypes.c_void_p)       # what a kernel's launch entry runs its blocks with
        self._gemm = {"f": library.gemm_float, "d": library.gemm_double}
        size, pointer = ctypes.c_int64, ctypes.c_void_p
        for gemm in self._gemm.values():
            gemm.argtypes = [size] * 4 + [pointer, size, size, size] * 2 + [pointer, size, ctypes.c_int]
            gemm.restype = ctypes.c_int
        self.configure(threads)

    def configure(self, threads: int, spins: int = SPINS) -> None:
        """Give the pool so many threads, each of which looks for work `spins` times before it sleeps."""
        self.library.pool_configure(threads, spins)

    def multiply(self, a: np.ndarray, b: np.ndarray, out: np.ndarray, accumulate: bool) -> None:
        """out = a @ b, or += with `accumulate`: (m, k) @ (k, n), or a batch of such; shapes and dtypes fit, and out's
        matrices are C-contiguous.

        Raises:
            MemoryError: no memory to pack the matrices into.
        """
        a, b = _row_or_column_major(a), _row_or_column_major(b)
        m, n = out.shape[-2:]
        if self._gemm[a.dtype.char](out.shape[0] if out.ndim == 3 else 1, m, n, a.shape[-1], address(a), *_strides(a),
                                    address(b), *_strides(b), address(out), _strides(out)[0], int(accumulate)):
            raise MemoryError(f"no memory to multiply {a.shape} by {b.shape}")


def address(array: np.ndarray) -> int:
    """The address of a NumPy array's first element.

    Read from where NumPy's C interface puts it: array.ctypes.data says the same ten times more slowly, and a
    training step asks for two hundred addresses.
    """
    return ctypes.c_void_p.from_address(id(array) + _HEADER).value


def _row_or_column_major(a: np.ndarray) -> np.ndarray:
    """a, copied where neither its rows nor its columns are contiguous."""
    return a if a.itemsize in a.strides[-2:] or a.size == 0 else np.ascontiguousarray(a)


def _strides(a: np.ndarray) -> tuple[int, int, int]:
    """Elements from one matrix to the next, from row to row and from column to column."""
    item = a.itemsize
    return (0 if a.ndim == 2 else a.strides[0] // item), a.strides[-2] // item, a.strides[-1] // item
