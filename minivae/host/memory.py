"""Reuse of host memory: freed arrays give their memory to the next ones of the same size.

Fresh large arrays cost a page fault for every 4 KiB on every step; a training step asks for the same
sizes again and again, so after the first step it takes no new memory. It is what CuPy's memory
pool does for a GPU.
"""

from __future__ import annotations

import math

import numpy as np

ALIGNMENT = 64          # bytes: a cache line, and more than the 16 that kernels ask for
SMALL = 1 << 12         # bytes: below this the allocator of the C library is fast enough
FEW = SMALL // 8        # elements that are less than that in every dtype: CpuDevice.empty takes no pool for them


class _Block:
    """Memory lent to one array; it returns to the pool when the last view of that array dies."""

    __slots__ = ("pool", "memory", "size", "__array_interface__")

    def __init__(self, pool: MemoryPool, memory: tuple[np.ndarray, int], size: int,
                 shape: tuple[int, ...], typestr: str):
        self.pool, self.memory, self.size = pool, memory, size
        self.__array_interface__ = {
            "data": (memory[1], False), "shape": shape, "typestr": typestr, "version": 3}

    def __del__(self) -> None:
        self.pool._free.setdefault(self.size, []).append(self.memory)


class MemoryPool:
    """A pool of host memory by exact size; arrays of 4 KiB and more are 64-byte aligned.

    Attributes:
        held: bytes taken from the system, in use or kept for reuse; constant once a training loop has made one step.
    """

    def __init__(self) -> None:
        self.held = 0
        self._free: dict[int, list[tuple[np.ndarray, int]]] = {}   # size: owners and addresses

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """An uninitialized C-contiguous array of that shape and dtype."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        if size < SMALL:
            return np.empty(shape, dtype)
        size = -(-size // ALIGNMENT) * ALIGNMENT
        free = self._free.get(size)
        return np.asarray(_Block(self, free.pop() if free else self._take(size), size,
                                 shape, dtype.str))

    def release(self) -> None:
        """Give all memory that no array uses back to the system."""
        self.held -= sum(size * len(owners) for size, owners in self._free.items())
        self._free.clear()

    def _take(self, size: int) -> tuple[np.ndarray, int]:
        """New memory from the system: its owner and its first aligned address."""
        owner = np.empty(size + ALIGNMENT, np.uint8)
        self.held += size
        return owner, -(-owner.ctypes.data // ALIGNMENT) * ALIGNMENT
