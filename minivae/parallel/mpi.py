"""The processes that an MPI launcher has started together: `mpiexec -n 4 minivae train`, through mpi4py.

What these processes tell each other on the host goes through MPI; arrays go the way that their device says
(collectives.py). Where no
launcher started this process, mpi4py is not imported.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np

from minivae.clock import Stopwatch
from minivae.device import Device, cpu
from minivae.errors import MinivaeError, UsageError
from minivae.parallel.group import ALONE, Group
from minivae.parallel.launcher import launched
from minivae.system import processors, threads_asked

T = TypeVar("T")
# MPI's own way to wait keeps a processor busy. That is right for HOLD seconds; then whoever waits lets others of this
# machine come first between two looks, those among them that it waits for, but does not sleep, as to wake up takes as long
# as most waits do. After SPIN seconds it looks every NAP seconds; where a wait is long by nature, from HOLD on every PAUSE
# seconds.
HOLD, SPIN, NAP, PAUSE = 5e-5, 2e-3, 2e-5, 0.02
PASSED_ON = 0.5     # seconds in which a launcher passes on what a process has printed, before all are ended and the rest is lost
NUMBERED = 8        # so many processes are named by the numbers that the system gave them, as launchers name those that died


class World:
    """All processes that were started together, and what they tell each other on the host.

    Attributes:
        rank, size: this process's number, and how many there are.
        local_rank, local_size: the same among those of this machine.
    """

    def __init__(self, communicator, local):
        self._mpi, self._local, self._last = communicator, local, communicator.Dup()
        self.rank, self.size, self.local_rank, self.local_size = communicator.rank, communicator.size, local.rank, local.size

    def sum(self, array: np.ndarray) -> None:
        """Put the sum of every process's array in place of this one."""
        from mpi4py import MPI

        _wait(self._mpi.Iallreduce(MPI.IN_PLACE, array))

    def gather(self, array: np.ndarray, into: np.ndarray) -> None:
        """Write every process's array into those of `into` (size, *shape)."""
        _wait(self._mpi.Iallgather(array, into))

    def exchange(self, value: Any) -> list:
        """What every process gives, in the order of their numbers."""
        self.meet()
        return self._mpi.allgather(value)

    def broadcast(self, value: Any) -> Any:
        """What the process of number 0 gives."""
        self.meet()
        return self._mpi.bcast(value)

    def meet(self) -> None:
        """Go on when all have come here, which is soon."""
        _wait(self._mpi.Ibarrier())

    def wait(self) -> None:
        """Go on when all have come here, without keeping a processor busy."""
        _wait(self._mpi.Ibarrier(), PAUSE)

    def threads(self) -> int:
        """How many threads each of the processes of this machine should have: its part of those processors that several may
        use, and all that it has for itself."""
        mine = processors()
        others = self._local.allgather(mine)
        return max(1, int(sum(1 / sum(one in other for other in others) for one in mine) + 1e-6))

    def last_words(self, text: str, patience: float) -> list[str] | None:
        """What every process says before it ends, in the order of their numbers; None where not all end in `patience` s."""
        return self._last.allgather(text) if _wait(self._last.Ibarrier(), PAUSE, patience) else None

    def end_all(self, code: int) -> None:
        """End all processes at once, whatever they wait for."""
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
        time.sleep(PASSED_ON)
        self._mpi.Abort(code)


def _wait(request, pause: float = NAP, patience: float = math.inf) -> bool:
    """Wait until a request is done, at most so many seconds; returns whether it is."""
    waiting = Stopwatch()
    while not request.Test():
        if (passed := waiting.read()) > patience:
            return False
        if passed > (HOLD if pause == PAUSE else SPIN):
            time.sleep(pause)
        elif passed > HOLD:
            os.sched_yield()
    return True


@cache
def world() -> World | None:
    """The processes that were started with this one; None where it was started alone.

    The CPU then has as many threads as falls to this process, unless MINIVAE_THREADS says otherwise.

    Raises:
        MinivaeError: there is no mpi4py, or no MPI that it works with; or it is not the launcher's.
    """
    count = launched()
    if count == 1:
        return None
    try:
        import mpi4py

        mpi4py.rc.thread_level = "serialized"       # one thread at a time asks for something: no locks
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:    # the second where it finds no library
        raise MinivaeError(f"{count} processes were started together, but mpi4py does not work ({error}): pip install "
                           "'minivae[mpi]', and mpich where the machine has no MPI; or start one process") from error
    if MPI.COMM_WORLD.size == 1:
        library = MPI.Get_library_version().split("\n")[0]
        raise UsageError(f"{count} processes were started together, but each sees only itself: mpi4py works with {library}; "
                         "take the launcher of that one (its mpiexec, or srun --mpi=...)")
    made = World(MPI.COMM_WORLD, MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED))
    if not threads_asked():
        cpu().threads = made.threads()
    cpu().share_cache(made.local_size)
    return made


def place(world: World | None, device: str) -> int:
    """Which GPU `device` means for this process, where it gives no number; see device.select.

    Raises:
        UsageError: it gives the number of one GPU for several processes.
    """
    if world and device.startswith("cuda:"):
        raise UsageError(f"--device {device} is one GPU for {world.size} processes: take --device cuda, and each has its "
                         "own")
    return world.local_rank if world else 0


def leads(world: World | None) -> bool:
    """Whether this process is the one that prints and writes files."""
    return world is None or world.rank == 0


def in_turn(world: World | None, work: Callable[[], T]) -> T:
    """The result of `work`, which one process of each machine does before the others begin: what it leaves on the disk,
    such as a download or a compiled file, is there for them."""
    if world is None:
        return work()
    result = work() if world.local_rank == 0 else None
    world.wait()
    return result if world.local_rank == 0 else work()


def by_first(world: World | None, work: Callable[[], T]) -> T:
    """The result of `work`, which process 0 does for all.

    Raises:
        MinivaeError: process 0 has it, and so have all.
    """
    if world is None:
        return work()
    result = trouble = None
    if leads(world):
        try:
            result = work()
        except MinivaeError as error:
            trouble = error
    result, text, code = world.broadcast((result, trouble and str(trouble), trouble and trouble.exit_code))
    if trouble is None and text is not None:
        trouble = MinivaeError(text)
        trouble.exit_code = code
    if trouble is not None:
        raise trouble
    return result


def group(world: World | None, device: Device) -> Group:
    """The group of this process, which computes on that device: of all that were started together, or of itself."""
    return Processes(world, device) if world else ALONE


class Processes(Group):
    """This process in the group of all that were started together.

    Args:
        world: them.
        device: this one's.
    """

    def __init__(self, world: World, device: Device):
        self.rank, self.size, self._world = world.rank, world.size, world
        self._collectives = device.collectives(world)
        self.sum, self.gather = self._collectives.sum, self._collectives.gather
        self.exchange, self.meet = world.exchange, world.meet

        shared = self._collectives.shared
        if shared:
            self.divides, self.part_of, self.sum_part, self.spread = True, shared.part_of, shared.sum_part, shared.spread
            self.zeros, self.common_zeros = shared.zeros, shared.common_zeros

    def describe(self) -> str:
        told = self.exchange((self._world.local_rank, os.getpid()))
        machines = sum(rank == 0 for rank, _ in told)
        where = "one machine" if machines == 1 else f"{machines} machines"
        numbers = f" ({', '.join(str(process) for _, process in told)})" if self.size <= NUMBERED else ""
        return f"{self.size} processes{numbers} on {where}, sums through {self._collectives.words}"
