"""Sums and gathers over GPUs, through NVIDIA's NCCL as CuPy binds it: queued behind what the GPU was told before, and
nothing waits for them but what it is told after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minivae.parallel.collectives import require_contiguous

if TYPE_CHECKING:
    from minivae.device import CudaDevice
    from minivae.parallel.mpi import World


class Nccl:
    """One process's side of all GPUs' collectives.

    Args:
        world: the processes, one GPU each; all must come here.
    """

    words, shared = "NCCL", None

    def __init__(self, world: World, device: CudaDevice):
        self._cupy, self._device, self._size = device.cupy, device, world.size
        cupy = device.cupy
        key = world.broadcast(cupy.cuda.nccl.get_unique_id() if world.rank == 0 else None)
        self._nccl = cupy.cuda.nccl.NcclCommunicator(world.size, key, world.rank)
        self._types = {np.dtype(np.float32): cupy.cuda.nccl.NCCL_FLOAT32, np.dtype(np.float64): cupy.cuda.nccl.NCCL_FLOAT64}
        self._add = cupy.cuda.nccl.NCCL_SUM

    def sum(self, array) -> None:
        """See Group.sum."""
        require_contiguous(array)
        at = self._device.address_of(array)
        self._nccl.allReduce(at, at, array.size, self._types[array.dtype], self._add, self._stream())

    def gather(self, array):
        """See Group.gather."""
        require_contiguous(array)
        out = self._device.empty((self._size, *array.shape), array.dtype)
        self._nccl.allGather(self._device.address_of(array), self._device.address_of(out), array.size,
                             self._types[array.dtype], self._stream())
        return out

    def _stream(self) -> int:
        """Where kernels go too, so that each finds what the one before it left."""
        return self._cupy.cuda.get_current_stream().ptr
