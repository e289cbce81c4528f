"""How the arrays of a device are added up and gathered over processes: on the host, through MPI.

A device makes the one for its own arrays (Device.collectives); nccl.py has the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minivae.parallel.shared import Shared

if TYPE_CHECKING:
    from minivae.device import Device
    from minivae.parallel.mpi import World


class OnHost:
    """Of arrays that lie in the host's memory: MPI works on them where they are.

    Attributes:
        words: what the sums go through.
        shared: the arrays that the processes of one machine share; None where they cannot.
    """

    def __init__(self, world: World, device: Device):
        self._world, self._device, shared = world, device, Shared(world)
        self.shared, self.words = (shared, "shared memory and MPI") if shared.missing is None else (
            None, f"MPI ({shared.missing})" if shared.missing else "MPI")

    def sum(self, array: np.ndarray) -> None:
        """See Group.sum."""
        require_contiguous(array)
        self._world.sum(array)

    def gather(self, array: np.ndarray) -> np.ndarray:
        """See Group.gather."""
        require_contiguous(array)
        out = self._device.empty((self._world.size, *array.shape), array.dtype)
        self._world.gather(array, out)
        return out


class ThroughHost:
    """Of a GPU's arrays, by copies on the host: slow, and right.

    Args:
        why: there is nothing better.
    """

    shared = None

    def __init__(self, world: World, device: Device, why: str):
        self._world, self._device = world, device
        self.words = f"MPI and copies on the host ({why})"

    def sum(self, array) -> None:
        """See Group.sum."""
        copy = self._device.to_host(array)
        self._world.sum(copy)
        array[...] = self._device.from_host(copy)

    def gather(self, array):
        """See Group.gather."""
        copy = self._device.to_host(array)
        out = np.empty((self._world.size, *copy.shape), copy.dtype)
        self._world.gather(copy, out)
        return self._device.from_host(out)


def require_contiguous(array) -> None:
    """Refuse an array whose memory is not its elements in their order.

    Raises:
        ValueError: it is none.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f"an array of shape {array.shape} and strides {array.strides} is not C-contiguous")
