"""Theoretical occupancy: how many threads of a kernel a GPU's multiprocessor can hold at once, of those it has room for.

Limits are from the CUDA C++ Programming Guide's table of technical specifications by compute capability; the rounding
is that of the CUDA toolkit's occupancy calculator.
"""

from __future__ import annotations

from typing import NamedTuple

from minivae.errors import UsageError

WARP, QUARTERS = 32, 4          # threads a warp; parts of a multiprocessor, each with its own share of the registers
REGISTERS = 65_536              # of a multiprocessor
REGISTER_UNIT = 256             # registers are given to a warp in multiples of this


class Multiprocessor(NamedTuple):
    """What one multiprocessor of an architecture has room for.

    Attributes:
        warps, blocks: at most.
        shared: bytes of shared memory.
        reserved: bytes of it that each block costs beyond its own.
        shared_unit: shared memory is given to a block in multiples of this.
    """

    warps: int
    blocks: int
    shared: int
    reserved: int = 1024
    shared_unit: int = 128


MULTIPROCESSORS = {
    "sm_75": Multiprocessor(32, 16, 64 << 10, reserved=0, shared_unit=256),
    "sm_80": Multiprocessor(64, 32, 164 << 10),
    "sm_86": Multiprocessor(48, 16, 100 << 10),
    "sm_89": Multiprocessor(48, 24, 100 << 10),
    "sm_90": Multiprocessor(64, 32, 228 << 10),
    "sm_100": Multiprocessor(64, 32, 228 << 10),
    "sm_120": Multiprocessor(48, 24, 100 << 10),
}


def occupancy(architecture: str, threads: int, registers: int, shared: int) -> float:
    """The share of a multiprocessor's warps that can be resident.

    Args:
        architecture: a key of MULTIPROCESSORS.
        threads: of a block.
        registers: of a thread, >= 1.
        shared: bytes of shared memory of a block.

    Raises:
        UsageError: an architecture whose limits are not known here.
    """
    if architecture not in MULTIPROCESSORS:
        raise UsageError(f"the limits of {architecture} are not known: take one of {', '.join(MULTIPROCESSORS)}")
    room = MULTIPROCESSORS[architecture]
    warps = -(-threads // WARP)
    by_registers = REGISTERS // QUARTERS // _rounded(registers * WARP, REGISTER_UNIT) * QUARTERS // warps
    by_shared = room.shared // max(1, _rounded(shared + room.reserved, room.shared_unit))
    return min(room.blocks, room.warps // warps, by_registers, by_shared) * warps / room.warps


def _rounded(value: int, unit: int) -> int:
    """The smallest multiple of `unit` that is at least `value`."""
    return -(-value // unit) * unit
