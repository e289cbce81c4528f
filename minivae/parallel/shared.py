"""Arrays in memory that all processes of a machine see: each process adds up its part of all gradients, makes its part of
the optimizer's step, and takes the others' parameters from where they wrote them (Rajbhandari et al. 2020, "ZeRO", stage 1).

A library's all-reduce copies every number into memory that is shared and out of it again, and then all processes make the
same step. An array of each process takes a file descriptor of each in all of them, one for all a descriptor in each.
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

CHUNK = 1 << 18         # bytes of each array that are added up at a time, in the cache
ALIGNMENT = 64          # bytes: processes never write to the same cache line
NAME, TOKEN = "minivae", 16    # of such memory, and bytes by which it is known again


class Shared:
    """The arrays that the processes of one machine share.

    Args:
        world: all of them.

    Attributes:
        missing: why they cannot share memory, in words, empty where they are of several machines; None where they can. All
            processes say the same.
    """

    def __init__(self, world: World):
        self._world = world
        self._all: dict[int, list[np.ndarray]] = {}      # by the identity of an array of zeros(): every process's
        if world.local_size < world.size:
            self.missing = ""
        else:
            _, trouble = self._map(TOKEN)
            self.missing = trouble and f"they share no memory: {trouble}"

    def zeros(self, device, shape: tuple[int, ...], dtype) -> np.ndarray:
        """An array of zeros of this process, which sum_part() and spread() take; see Group.zeros.

        Raises:
            MinivaeError: there is no memory for it, or it cannot be shared; in all processes then.
        """
        arrays = self._arrays(shape, dtype)
        mine = arrays[self._world.rank].reshape(shape)
        mine.fill(0)
        self._all[id(mine)] = arrays
        weakref.finalize(mine, self._all.pop, id(mine), None)
        return mine

    def common_zeros(self, device, shape: tuple[int, ...], dtype) -> np.ndarray:
        """One array of zeros for all processes; see Group.common_zeros.

        Raises:
            MinivaeError: as for zeros().
        """
        array = self._arrays(shape, dtype)[0]
        array[self.part_of(array)] = 0          # each touches what it will work on: so it lies near its processor
        self._world.meet()
        return array.reshape(shape)

    def part_of(self, array: np.ndarray) -> slice:
        """See Group.part_of: whole cache lines."""
        return self._part(array, self._world.rank)

    def sum_part(self, array: np.ndarray) -> None:
        """See Group.sum_part."""
        arrays, part, step = self._all[id(array)], self.part_of(array), CHUNK // array.itemsize
        near = np.empty(min(step, part.stop - part.start), array.dtype)
        self._world.meet()          # all have written theirs
        for begin in range(part.start, part.stop, step):
            here = slice(begin, min(begin + step, part.stop))
            total, (first, second, *others) = near[:here.stop - begin], (one[here] for one in arrays)
            np.add(first, second, out=total)
            for other in others:        # in the order of the processes
                np.add(total, other, out=total)
            array[here] = total
        self._world.meet()          # all have read theirs

    def spread(self, array: np.ndarray) -> None:
        """See Group.spread."""
        self._world.meet()          # all have written their parts
        for rank, other in enumerate(self._all[id(array)]):
            if rank != self._world.rank:
                part = self._part(array, rank)
                array[part] = other[part]
        self._world.meet()          # all have read them

    def _part(self, array: np.ndarray, rank: int) -> slice:
        step, size = ALIGNMENT // array.itemsize, self._world.size
        begin, end = (array.size * part // size // step * step if part < size else array.size for part in (rank, rank + 1))
        return slice(begin, end)

    def _arrays(self, shape: tuple[int, ...], dtype) -> list[np.ndarray]:
        """Every process's flat array for that shape."""
        dtype, count = np.dtype(dtype), math.prod(shape)
        blocks, trouble = self._map(max(count * dtype.itemsize, TOKEN))
        if trouble:
            raise MinivaeError(f"an array of shape {shape} and type {dtype} cannot be shared among the processes of this "
                               f"machine: {trouble}; where memory or descriptors (ulimit -n) are short, start fewer")
        return [np.frombuffer(block, dtype, count) for block in blocks]

    def _map(self, size: int) -> tuple[list[mmap.mmap], str | None]:
        """So much memory of every process, in their order, as this one sees it; and what was in the way of the first of them
        that cannot see all."""
        token, descriptor, told, trouble, blocks = os.urandom(TOKEN), None, None, None, []
        try:
            descriptor = os.memfd_create(NAME)          # not under /dev/shm, which is small in many containers
            os.ftruncate(descriptor, size)
            mine = mmap.mmap(descriptor, size)
            mine[:TOKEN] = token
            told = f"/proc/{os.getpid()}/fd/{descriptor}"
        except (AttributeError, OSError) as error:
            trouble = error
        for rank, (path, wanted) in enumerate(self._world.exchange((told, token))):
            if trouble is None and path is not None:
                try:
                    blocks.append(mine if rank == self._world.rank else _open(path, size, wanted))
                except OSError as error:
                    trouble = error
        # After this all have opened all, and descriptors may be closed.
        troubles = self._world.exchange(trouble and f"{type(trouble).__name__}: {trouble}")
        if descriptor is not None:
            os.close(descriptor)
        return blocks, next(filter(None, troubles), None)


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
