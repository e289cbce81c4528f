"""Arrays in memory that all processes of a machine see, and their sum: each process adds up its part of all arrays, where they
are, and puts the result into all.

A library's all-reduce copies every number into memory that is shared and out of it again; here they are there already. Each
array takes a file descriptor of every process for every process.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from typing import TYPE_CHECKING

import numpy as np

from minivae.errors import MinivaeError

if TYPE_CHECKING:
    from minivae.parallel.mpi import World

CHUNK = 1 << 18         # bytes of each array at a time: what was read and added up is near when it is written to the others
ALIGNMENT = 64          # bytes: processes never write to the same cache line
NAME, TOKEN = "minivae", 16    # of such memory, and bytes by which it is known again


class Shared:
    """The arrays that the processes of one machine share.

    Args:
        world: all of them.

    Attributes:
        missing: why they cannot share memory, in words; None where they can. All processes say the same.
    """

    def __init__(self, world: World):
        self._world = world
        self._all: dict[int, list[np.ndarray]] = {}      # by the identity of this process's array: every process's
        if world.local_size < world.size:
            self.missing = "on several machines"
        else:
            self.missing = next(filter(None, self._map(TOKEN)[1]), None)

    def zeros(self, shape: tuple[int, ...], dtype) -> np.ndarray:
        """An array of zeros, which sum() takes. All processes must ask for one of this shape and dtype.

        Raises:
            MinivaeError: there is no memory for it, or it cannot be shared; in all processes then.
        """
        dtype = np.dtype(dtype)
        count = math.prod(shape)
        blocks, errors = self._map(max(count * dtype.itemsize, TOKEN))
        if any(errors):
            raise MinivaeError(f"an array of shape {shape} and type {dtype} cannot be shared among the processes of this machine: "
                               f"{next(filter(None, errors))}; where memory or descriptors (ulimit -n) are short, start fewer")
        arrays = [np.frombuffer(block, dtype, count) for block in blocks]
        mine = arrays[self._world.rank]
        mine.fill(0)
        view = mine.reshape(shape)
        self._all[id(view)] = arrays
        weakref.finalize(view, self._all.pop, id(view), None)
        return view

    def holds(self, array: np.ndarray) -> bool:
        """Whether it is one that zeros() gave; not a view of one."""
        return id(array) in self._all

    def sum(self, array: np.ndarray) -> None:
        """Put the sum of every process's array in place of this one; see Group.sum."""
        arrays, size, rank = self._all[id(array)], self._world.size, self._world.rank
        step = ALIGNMENT // array.itemsize
        begin, end = (min(-(-array.size * part // size) // step * step, array.size) if part < size else array.size
                      for part in (rank, rank + 1))
        self._world.meet()          # all have written theirs
        for at in range(begin, end, CHUNK // array.itemsize):
            first, *others = (one[at:min(at + CHUNK // array.itemsize, end)] for one in arrays)
            for other in others:    # in the order of the processes: the same bits in whatever parts it is done
                np.add(first, other, out=first)
            for other in others:
                other[...] = first
        self._world.meet()          # all have read theirs

    def _map(self, size: int) -> tuple[list[mmap.mmap], list[str | None]]:
        """So much memory of every process, as this one sees it, or what was in the way: of each process, in their order."""
        token, descriptor, told, trouble, blocks = os.urandom(TOKEN), None, None, None, []
        try:
            descriptor = os.memfd_create(NAME)          # not under /dev/shm, which is small in many containers
            os.ftruncate(descriptor, size)
            mine = mmap.mmap(descriptor, size)
            mine[:TOKEN] = token
            told = f"/proc/{os.getpid()}/fd/{descriptor}"
        except (AttributeError, OSError) as error:
            trouble = f"{type(error).__name__}: {error}"
        for rank, (path, wanted) in enumerate(self._world.exchange((told, token))):
            if trouble is None and path is not None:
                try:
                    blocks.append(mine if rank == self._world.rank else _open(path, size, wanted))
                except OSError as error:
                    trouble = f"{type(error).__name__}: {error}"
        troubles = self._world.exchange(trouble)        # all have opened all, before a descriptor is closed
        if descriptor is not None:
            os.close(descriptor)
        return blocks, troubles


def _open(path: str, size: int, token: bytes) -> mmap.mmap:
    """Another process's memory.

    Raises:
        OSError: it cannot be opened, or it is something else: numbers of processes differ between containers.
    """
    if os.readlink(path).startswith(f"/memfd:{NAME} "):         # or to open it might do something
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_size == size and (block := mmap.mmap(descriptor, size))[:TOKEN] == token:
                return block
        finally:
            os.close(descriptor)
    raise OSError(f"{path} is not the memory of another process of this training")
