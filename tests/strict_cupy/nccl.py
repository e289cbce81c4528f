"""cupy.cuda.nccl between real processes: the numbers go through MPI, the rules are NCCL's.

A call names addresses, counts and types as bare numbers, and NCCL checks hardly any of them. Here every process must make
the same call, of memory that is there and written, in place or apart, on the stream that kernels are put on.
"""

from __future__ import annotations

import operator

import emulator
import numpy as np

from strict_cupy import cuda, ledger

__all__ = ["NCCL_FLOAT32", "NCCL_FLOAT64", "NCCL_SUM", "NcclCommunicator", "available", "get_unique_id"]

available = True
NCCL_SUM, NCCL_FLOAT32, NCCL_FLOAT64 = 0, 7, 8      # ncclRedOp_t, ncclDataType_t
TYPES = {NCCL_FLOAT32: np.dtype(np.float32), NCCL_FLOAT64: np.dtype(np.float64)}
ID_BYTES = 128


class NcclError(RuntimeError):
    """Stands for the class of that name."""


def get_unique_id() -> bytes:
    return np.random.default_rng().bytes(ID_BYTES)


class NcclCommunicator:
    """One process's side; its constructor waits for all `ndev`."""

    def __init__(self, ndev, commId, rank, config=None):    # noqa: N803  (CuPy's name)
        from mpi4py import MPI

        if not isinstance(commId, bytes) or len(commId) != ID_BYTES:
            raise TypeError(f"Argument 'commId' has incorrect type (expected bytes, got {type(commId).__name__})")
        self._mpi = MPI.COMM_WORLD.Dup()
        if (self._mpi.size, self._mpi.rank) != (ndev, rank) or len(set(self._mpi.allgather(commId))) > 1:
            raise NcclError("NCCL_ERROR_INVALID_USAGE: invalid usage")

    def allReduce(self, sendbuf, recvbuf, count, datatype, op, stream) -> None:     # noqa: N802
        if op != NCCL_SUM:
            raise NcclError("NCCL_ERROR_INVALID_ARGUMENT: the stand-in adds up only")
        self._queue("allReduce", sendbuf, recvbuf, count, datatype, stream, lambda parts: np.sum(parts, 0, parts[0].dtype),
                    (recvbuf,), count)

    def allGather(self, sendbuf, recvbuf, count, datatype, stream) -> None:         # noqa: N802
        own = recvbuf + self._mpi.rank * count * _type(datatype).itemsize
        self._queue("allGather", sendbuf, recvbuf, count, datatype, stream, np.concatenate, (own,), count * self._mpi.size)

    def _queue(self, kind: str, send: int, receive: int, count: int, datatype: int, stream: int, make, in_place,
               made: int) -> None:
        send, receive, count, stream = map(operator.index, (send, receive, count, stream))
        if stream != cuda.get_current_stream().ptr:
            raise emulator.EmulatorError(f"{kind}: on stream {stream}, which does not wait for the kernels of the current "
                                         "one")
        dtype = _type(datatype)
        apart = receive + made * dtype.itemsize <= send or send + count * dtype.itemsize <= receive
        if not apart and send not in in_place:
            raise emulator.EmulatorError(f"{kind}: the two buffers overlap, and it is not in place")
        ledger.count("collective")
        cuda.run(lambda: self._carry_out((kind, count, datatype), send, receive, dtype, make))

    def _carry_out(self, call: tuple, send: int, receive: int, dtype: np.dtype, make) -> None:
        kind, count, _ = call
        if emulator.unwritten(send, count * dtype.itemsize):
            raise emulator.EmulatorError(f"{kind}: of memory that nobody has written")
        calls, parts = zip(*self._mpi.allgather((call, emulator.fetch(send, count, dtype))), strict=True)
        if len(set(calls)) > 1:
            raise emulator.EmulatorError(f"the processes do not make the same call: {calls}")
        emulator.copy_in(receive, np.ascontiguousarray(make(parts)))


def _type(datatype: int) -> np.dtype:
    if datatype not in TYPES:
        raise NcclError(f"NCCL_ERROR_INVALID_ARGUMENT: data type {datatype} is none that the stand-in knows")
    return TYPES[datatype]
