"""Theoretical occupancy against numbers worked out by hand from NVIDIA's tables."""

import pytest

from minivae.errors import UsageError
from minivae.gpu_code.nvrtc import ARCHITECTURES
from minivae.gpu_code.occupancy import MULTIPROCESSORS, occupancy


@pytest.mark.parametrize(("architecture", "threads", "registers", "shared", "expected"), [
    ("sm_90", 256, 32, 0, 1.0),             # 8 warps of 1,024 registers: all 64 warps have 65,536
    ("sm_90", 256, 33, 0, 48 / 64),         # 33 registers count as 40: 12 warps a quarter, 6 blocks
    ("sm_90", 256, 255, 0, 8 / 64),         # 8,192 a warp: 2 warps a quarter, one block
    ("sm_90", 256, 32, 48 << 10, 32 / 64),  # 49 KiB a block with what is reserved: 4 blocks in 228 KiB
    ("sm_90", 32, 32, 0, 32 / 64),          # 32 blocks of one warp
    ("sm_86", 256, 40, 0, 1.0),             # 48 warps of 1,280 registers
    ("sm_86", 32, 32, 0, 16 / 48),          # 16 blocks of one warp
    ("sm_75", 256, 64, 0, 1.0),             # 32 warps of 2,048 registers
    ("sm_75", 256, 32, 20 << 10, 24 / 32),  # 3 blocks of 20 KiB in 64 KiB, nothing reserved
    ("sm_120", 128, 168, 0, 12 / 48),       # 5,376 a warp: 3 warps a quarter, 3 blocks of 4
])
def test_occupancy_by_hand(architecture, threads, registers, shared, expected):
    assert occupancy(architecture, threads, registers, shared) == pytest.approx(expected)


def test_every_architecture_is_known():
    assert MULTIPROCESSORS.keys() == set(ARCHITECTURES)
    with pytest.raises(UsageError, match="the limits of sm_70 are not known: take one of sm_75"):
        occupancy("sm_70", 256, 32, 0)
