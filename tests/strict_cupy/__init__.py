"""CuPy without a GPU: just what minivae uses of it, as strict as the real one, over the checked emulator.

Arrays are CuPy's own class (its Python side works without a driver), so that shapes, strides, flags, views and the
refusal of NumPy are the real thing; only their memory is the emulator's. What would reach the driver is done here
or refused: everything of cupy.ndarray that array.py names neither raises.

    array.py     arrays: views are CuPy's; copies, fills and sums are made here
    products.py  matmul and add, by CuPy's rules for temporaries
    raw.py       RawModule: marshals arguments as cupy/cuda/function.pyx does, launches through the emulator
    memory.py    the memory pool, with CuPy's way of splitting and keeping blocks
    cuda.py      devices, events, streams
    nccl.py      sums and gathers over processes
    ledger.py    what was done: launches, products, copies

tests/test_strict_cupy.py holds all of it against the installed CuPy.
"""

from cupy import __version__

from strict_cupy import cuda, lib, nccl
from strict_cupy.array import asarray, asnumpy, empty, ndarray, zeros
from strict_cupy.memory import get_default_memory_pool
from strict_cupy.products import add, matmul
from strict_cupy.raw import RawModule

cuda.nccl = nccl

__all__ = ["RawModule", "__version__", "add", "asarray", "asnumpy", "cuda", "empty", "get_default_memory_pool", "lib",
           "matmul", "ndarray", "zeros"]
