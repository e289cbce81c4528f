"""The processes that an MPI launcher has started together: `mpiexec -n 4 minivae train`, through mpi4py.

What is on the host goes through MPI always; what is on a device goes the way that the device says (collectives.py). Where no
launcher started this process, nothing here is imported but the standard library.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from minivae.device import Device, cpu
from minivae.errors import MinivaeError, UsageError
from minivae.group import ALONE, Group
from minivae.system import processors, threads_asked

# Where launchers say how many processes they have started: Hydra and Slurm's PMI, Open MPI, MVAPICH, Slurm's PMIx.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID")
PAUSE = 0.02        # seconds between looks of a process that waits for long: MPI's own way to wait keeps a processor busy


def launched() -> int:
    """How many processes the launcher says that it has started; 1 without a launcher."""
    return max([1, *(int(told) for told in map(os.environ.get, SIZES) if told and told.isdigit())])


class World:
    """All processes that were started together, and what they tell each other on the host.

    Attributes:
        rank, size: this process's number, and how many there are.
        local_rank, local_size: the same among those of this machine.
    """

    def __init__(self, communicator, local):
        self._mpi = communicator
        self.rank, self.size, self.local_rank, self.local_size = communicator.rank, communicator.size, local.rank, local.size
        self._local = local

    def sum(self, array: np.ndarray) -> None:
        """Put the sum of every process's array in place of this one."""
        from mpi4py import MPI

        self._mpi.Allreduce(MPI.IN_PLACE, array)

    def gather(self, array: np.ndarray, into: np.ndarray) -> None:
        """Write every process's array into those of `into` (size, *shape)."""
        self._mpi.Allgather(array, into)

    def exchange(self, value: Any) -> list:
        """What every process gives, in the order of their numbers."""
        return self._mpi.allgather(value)

    def broadcast(self, value: Any) -> Any:
        """What the process of number 0 gives."""
        return self._mpi.bcast(value)

    def wait(self) -> None:
        """Go on when all have come here, without keeping a processor busy."""
        request = self._mpi.Ibarrier()
        while not request.Test():
            time.sleep(PAUSE)

    def threads(self) -> int:
        """How many threads each of the processes of this machine should have: its part of those processors that several may
        use, and all that it has for itself."""
        mine = processors()
        others = self._local.allgather(mine)
        return max(1, int(sum(1 / sum(one in other for other in others) for one in mine) + 1e-6))

    def end_all(self, code: int) -> None:
        """End all processes at once, whatever they wait for."""
        for stream in (sys.stdout, sys.stderr):
            if stream:
                stream.flush()
        self._mpi.Abort(code)


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
    return made


def place(device: str) -> int:
    """Which GPU `device` means for this process, where it gives no number; see device.select.

    Raises:
        UsageError: it gives the number of one GPU for several processes.
    """
    here = world()
    if here and device.startswith("cuda:"):
        raise UsageError(f"--device {device} is one GPU for {here.size} processes: take --device cuda, and each has its own")
    return here.local_rank if here else 0


class Processes(Group):
    """This process in the group of all that were started together, which compute on a device each.

    Args:
        world: them.
        device: this one's.
    """

    def __init__(self, world: World, device: Device):
        self._world, self.rank, self.size = world, world.rank, world.size
        self._collectives = device.collectives(world)
        self.sum, self.gather, self.exchange = self._collectives.sum, self._collectives.gather, world.exchange

    def first(self, work: Callable[[], Any]) -> Any:
        return first(work)

    def describe(self) -> str:
        """One line on who takes part."""
        machines = sum(rank == 0 for rank in self.exchange(self._world.local_rank))
        where = "one machine" if machines == 1 else f"{machines} machines"
        return f"{self.size} processes on {where}, sums through {self._collectives.words}"


def group(device: Device) -> Group:
    """The group of this process: of all that were started together, or of itself."""
    here = world()
    return ALONE if here is None else Processes(here, device)


def first(work: Callable[[], Any]) -> Any:
    """See Group.first; for what is done before there is a device."""
    here = world()
    if here is None or here.local_rank == 0:
        result = work()
    if here is None:
        return result
    here.wait()
    return result if here.local_rank == 0 else work()
