"""Device memory: one allocation of the emulator an array, and CuPy's memory pool as an account of it.

Every array has memory of its own in the emulator, of its exact size and filled with NaN, so that an access beside it is
seen; it goes back when the last view dies. What CuPy's pool would hold is kept as an account: requests are rounded up
to 512 bytes, the smallest free block that fits is split, neighbours that are free merge, and blocks are kept
(cupy/cuda/memory.pyx).
"""

from __future__ import annotations

import emulator
from cupy.cuda.memory import MemoryPointer, OutOfMemoryError, UnownedMemory

from strict_cupy import cuda

ROUND = 512


class _Chunk:
    """A piece of a block that the pool got from the driver."""

    __slots__ = ("size", "before", "after")

    def __init__(self, size: int):
        self.size, self.before, self.after = size, None, None

    def split(self, size: int) -> _Chunk | None:
        """Keep the first `size` bytes; the rest, if there is any."""
        if self.size == size:
            return None
        rest = _Chunk(self.size - size)
        rest.before, rest.after, self.size = self, self.after, size
        if self.after is not None:
            self.after.before = rest
        self.after = rest
        return rest

    def absorb(self, other: _Chunk) -> None:
        """Take over the piece behind this one."""
        self.size, self.after = self.size + other.size, other.after
        if self.after is not None:
            self.after.before = self


class _Account:
    """The pool's blocks on one device."""

    def __init__(self):
        self.total, self.limit, self.free = 0, 0, []

    def take(self, size: int) -> _Chunk:
        """A piece of at least `size` bytes."""
        size = -(-size // ROUND) * ROUND
        fitting = [chunk for chunk in self.free if chunk.size >= size]
        if fitting:
            chunk = min(fitting, key=lambda c: c.size)
            self.free.remove(chunk)
            rest = chunk.split(size)
            if rest is not None:
                self.free.append(rest)
            return chunk
        if self.limit and self.total + size > self.limit:
            raise OutOfMemoryError(size, self.total, self.limit)
        self.total += size
        return _Chunk(size)

    def give(self, chunk: _Chunk) -> None:
        """The piece back, merged with free neighbours."""
        after, before = chunk.after, chunk.before
        if after is not None and after in self.free:
            self.free.remove(after)
            chunk.absorb(after)
        if before is not None and before in self.free:
            self.free.remove(before)
            before.absorb(chunk)
            chunk = before
        self.free.append(chunk)

    def release(self) -> None:
        """Whole free blocks back to the driver."""
        whole = [chunk for chunk in self.free if chunk.before is None and chunk.after is None]
        self.total -= sum(chunk.size for chunk in whole)
        self.free = [chunk for chunk in self.free if chunk not in whole]


class _Owner:
    """Frees an array's memory when the last view of it dies."""

    def __init__(self, account: _Account, nbytes: int):
        self.account, self.chunk = account, account.take(nbytes)
        self.address = emulator.allocate(nbytes)

    def __del__(self, free=emulator.free):
        if hasattr(self, "address"):
            free(self.address)
            self.account.give(self.chunk)


class MemoryPool:
    """cupy.cuda.MemoryPool of the current device."""

    def __init__(self):
        self._accounts: dict[int, _Account] = {}

    def _account(self) -> _Account:
        return self._accounts.setdefault(cuda.current_device(), _Account())

    def malloc(self, size: int) -> MemoryPointer:
        """Uninitialized memory; a null pointer for nothing."""
        owner = _Owner(self._account(), size) if size else None
        memory = UnownedMemory(owner.address if owner else 0, size, owner, cuda.current_device())
        return MemoryPointer(memory, 0)

    def total_bytes(self) -> int:
        return self._account().total

    def free_all_blocks(self, stream=None) -> None:
        self._account().release()

    def get_limit(self) -> int:
        return self._account().limit

    def set_limit(self, size=None) -> None:
        self._account().limit = size or 0


_pool = MemoryPool()


def get_default_memory_pool() -> MemoryPool:
    return _pool
