"""Stands in CuPy's place, computes nothing and launches nothing, and writes down what CuPy would launch of its own.

minivae's CUDA branch runs on it unchanged, so that the launches of a training step can be counted at full size on any
machine. All arrays lie in the same memory, which nobody reads or writes. What CuPy launches for a product or a copy
follows its source (cupy/_core/_routines_linalg.pyx, CuPy 14): two-dimensional operands are copied where they are
neither C- nor F-contiguous, batched ones wherever they are not C-contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

import numpy as np

from minivae import device as devices

FREE = 1 << 33          # bytes of memory that the GPU seems to have
MEMORY = np.empty(1 << 30, np.uint8)        # more than any array takes; the system gives none of it before it is touched


class OwnLaunch(NamedTuple):
    """A kernel of CuPy's own, or a copy or fill by the driver: its name, bytes read and written."""

    name: str
    read: int
    written: int


ALIGNED, GPU_0 = SimpleNamespace(ptr=512, device_id=0), SimpleNamespace(id=0)


class Array:
    """The side of cupy.ndarray that minivae looks at, over memory that nobody reads."""

    log: list[OwnLaunch] = []       # of all arrays

    def __init__(self, memory: np.ndarray):
        self.memory = memory
        self.shape, self.dtype, self.ndim, self.size = memory.shape, memory.dtype, memory.ndim, memory.size
        self.strides, self.nbytes, self.flags = memory.strides, memory.nbytes, memory.flags
        self.data = ALIGNED
        self.device = GPU_0

    def __len__(self) -> int:
        return len(self.memory)

    def __getitem__(self, key) -> Array:
        return _view(self.memory[key], self.memory)

    def __setitem__(self, key, value) -> None:
        into = self.memory[key]
        if isinstance(value, Array):
            self.log.append(OwnLaunch("cupy copy", value.nbytes, into.nbytes))
        else:
            self.log.append(OwnLaunch("cupy fill", 0, into.nbytes))

    @property
    def T(self) -> Array:
        return _view(self.memory.T, self.memory)

    def transpose(self, *axes) -> Array:
        return _view(self.memory.transpose(*axes), self.memory)

    def reshape(self, *shape) -> Array:
        return _view(self.memory.reshape(*shape), self.memory)

    def fill(self, value) -> None:
        self.log.append(OwnLaunch("cupy fill", 0, self.nbytes))

    def copy(self) -> Array:
        self.log.append(OwnLaunch("cupy copy", self.nbytes, self.nbytes))
        return empty(self.shape, self.dtype)


def _view(found: np.ndarray, of: np.ndarray) -> Array:
    if found.size and not np.may_share_memory(found, of):
        Array.log.append(OwnLaunch("cupy copy", found.nbytes, found.nbytes))
    return Array(found)


def empty(shape, dtype=np.float32) -> Array:
    return Array(np.ndarray(shape, dtype, MEMORY))


def zeros(shape, dtype=np.float32) -> Array:
    array = empty(shape, dtype)
    array.fill(0)
    return array


def asarray(host: np.ndarray) -> Array:
    return empty(host.shape, host.dtype)


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    for operand in (a, b):
        if not (operand.flags.c_contiguous or (operand.ndim == 2 and operand.flags.f_contiguous)):
            operand.copy()
    return empty((*a.shape[:-1], b.shape[-1]), a.dtype) if out is None else out


def add(a: Array, b: Array, out: Array) -> Array:
    Array.log.append(OwnLaunch("cupy add", a.nbytes + b.nbytes, out.nbytes))
    return out


class RawModule:
    def __init__(self, code, options, backend):
        pass

    def get_function(self, name):
        return lambda grid, block, arguments: None


@contextmanager
def in_cupys_place() -> Iterator[tuple[devices.CudaDevice, list[OwnLaunch]]]:
    """Within this context minivae's GPU 0 is this recorder: the device, and what CuPy would have launched of its own."""
    pool = SimpleNamespace(total_bytes=lambda: 0, get_limit=lambda: 0, free_all_blocks=lambda: None)
    cupy = SimpleNamespace(
        ndarray=Array, empty=empty, zeros=zeros, asarray=asarray, matmul=matmul, add=add,
        RawModule=RawModule, get_default_memory_pool=lambda: pool, __version__="none",
        cuda=SimpleNamespace(Device=lambda index: SimpleNamespace(use=lambda: None),
                             runtime=SimpleNamespace(getDeviceCount=lambda: 1, memGetInfo=lambda: (FREE, FREE))))
    with mock.patch.object(devices, "_import_cupy", lambda: cupy), mock.patch.object(devices, "_gpus", {}):
        device = devices.gpu(0)
        with mock.patch.object(Array, "log", []):
            yield device, Array.log
