"""The processes that train one model together: who they are, which part of a batch each has, how they add up numbers.

Whoever takes part has a Group. That of a process on its own, ALONE, computes nothing and copies nothing; mpi.py has that of
several. Every process must make the same calls in the same order: a sum waits for all of them.
"""

from __future__ import annotations

from typing import Any


class Group:
    """A process on its own; what a group of several overrides says what the others do.

    Attributes:
        rank: this process's number, from 0.
        size: how many there are.
        rows: of the whole batch that is in work, see take().
        divides: whether work on flat arrays is divided, each process having the part_of() them.
    """

    rank, size, rows, divides = 0, 1, 0, False

    def share(self, count: int, rank: int | None = None) -> tuple[int, int]:
        """(begin, end) of this process's contiguous part of `count` things, or of another's; parts differ by 1 at most."""
        rank = self.rank if rank is None else rank
        return count * rank // self.size, count * (rank + 1) // self.size     # as share_of() in kernels/portable.cuh

    def take(self, rows: int) -> tuple[int, int]:
        """share() of the rows of a batch, which is in work from now on: layers take its statistics over all its rows."""
        self.rows = rows
        return self.share(rows)

    @property
    def part(self) -> float:
        """How much of the batch in work is this process's: from 0 to 1."""
        begin, end = self.share(self.rows)
        return (end - begin) / self.rows

    def sum(self, array) -> None:
        """Put the sum of every process's array, of one shape, in place of this one: the same bits in all of them."""

    def zeros(self, device, shape: tuple[int, ...], dtype):
        """An array of zeros on a device, the group's own, that sum_part() and spread() take. All processes ask for it."""
        return device.zeros(shape, dtype)

    def common_zeros(self, device, shape: tuple[int, ...], dtype):
        """Likewise, an array of which a step changes each process's part_of() alone: one for all, where `divides`. Whoever
        writes to the rest of it, or between steps, calls meet() first, and all write the same.
        """
        return device.zeros(shape, dtype)

    def part_of(self, array) -> slice:
        """Of a flat array, the numbers that this process works on for all processes; all numbers unless `divides`."""
        return slice(0, array.size)

    def sum_part(self, array) -> None:
        """sum(), of which part_of() is needed alone; the rest of the array is no use any more."""
        self.sum(array)

    def spread(self, array) -> None:
        """Give every process the part_of() an array that each has worked on."""

    def gather(self, array):
        """Every process's array, of one shape, in the order of their numbers: (size, *shape)."""
        return array.reshape(1, *array.shape)

    def meet(self) -> None:
        """Go on when all processes have come here."""

    def exchange(self, value: Any) -> list:
        """What every process gives, in the order of their numbers; values on the host that pickle takes."""
        return [value]

    def describe(self) -> str:
        """One line on who takes part."""
        return "one process"


ALONE = Group()
