"""What a launch works on, and the grid that follows from it on a GPU and on a CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from minivae.device import Device

MAX_THREADS = 256                  # a block on a GPU; portable.cuh says the same
GPU_BYTES, CPU_BYTES = 16, 256     # a thread's pack of neighbouring elements: WIDTH * sizeof(real)
MAX_GRID_Y = 65535                 # CUDA's limit
GPU_ROWS = 1024                    # so many rows take a block as long as a second launch would
CPU_ROWS = 1024                    # so many rows of one pack of two arrays, 512 KiB, stay in a core's own cache


class Work(NamedTuple):
    """What a launch covers: `count` units along x and `slabs` blocks along y, in the way of `kind`."""

    kind: str
    count: int
    width: int = 1
    slabs: int = 1


@lru_cache(maxsize=4096)
def elements(count: int) -> Work:
    """Every thread owns packs of neighbouring elements out of `count`."""
    return Work("elements", count)


def blocks(count: int) -> Work:
    """Exactly `count` blocks, which share the elements: for kernels that leave one result a block."""
    return Work("blocks", count)


@lru_cache(maxsize=4096)
def rows(count: int, width: int) -> Work:
    """Blocks take shares of `count` rows; a block's threads span a row of `width` elements."""
    return Work("rows", count, width)


def pixels(count: int, channels: int) -> Work:
    """Blocks take shares of `count` pixels, a block's threads along x the channels of one."""
    return Work("pixels", count, channels)


def columns(count: int, slabs: int) -> Work:
    """Threads own columns out of `count`; the rows are cut into `slabs`, one a block along y."""
    return Work("columns", count, 1, slabs)


def slabs(device: Device, count: int, width: int) -> int:
    """Into how many slabs to cut `count` rows of `width` columns; 0 where one block should have all rows.

    By shape alone, so that sums are taken in the same order whatever the number of threads or processors.
    """
    if device.cuda:     # some 512 blocks fill the largest GPUs; a thread should have a few rows
        if count <= GPU_ROWS:
            return 0
        packs = -(-width // 4)
        across = _across(packs)
        return max(1, min(512 // -(-packs // across), count // (4 * MAX_THREADS // across)))
    if count <= CPU_ROWS:
        return 0
    return min(64, count // 64)


def pieces(device: Device, images: int, image_bytes: int) -> list[tuple[int, int]]:
    """(first image, last image) of pieces of a batch that fit the device's column buffer, at `image_bytes` an image."""
    # Whole fours: then every piece of an array begins at a multiple of 16 bytes, as kernels ask for.
    count = max(4, device.column_bytes // max(image_bytes, 1) // 4 * 4)
    return [(first, min(first + count, images)) for first in range(0, images, count)]


@lru_cache(maxsize=4096)
def geometry(work: Work, cuda: bool, itemsize: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """((grid x, grid y), (block x, block y)) for a piece of work."""
    width = (GPU_BYTES if cuda else CPU_BYTES) // itemsize
    packs = -(-work.count // width)
    one = (1, 1)
    if work.kind == "blocks":
        return (work.count, 1), ((MAX_THREADS, 1) if cuda else one)
    if work.kind == "elements":
        if cuda:
            return (min(-(-packs // MAX_THREADS), 4096), 1), (MAX_THREADS, 1)
        return (max(1, min(64, work.count // 4096)), 1), one
    if work.kind == "rows":
        if cuda:
            threads = min(MAX_THREADS, max(32, _power_of_two(-(-work.width // width))))
            return (min(work.count, 8192), 1), (threads, 1)
        return (max(1, min(64, work.count, work.count * work.width // 4096)), 1), one
    if work.kind == "pixels":
        if cuda:
            across = _across(-(-work.width // width))
            down = MAX_THREADS // across
            return (min(-(-work.count // down), 65536), 1), (across, down)
        return (max(1, min(64, work.count * work.width // 4096)), 1), one
    if cuda:
        # A block that has all rows is narrow: 64 bytes of each row, so that many blocks and many threads a column share them.
        across = min(_across(packs), 4) if work.slabs == 1 else _across(packs)
        return (-(-packs // across), work.slabs), (across, MAX_THREADS // across)
    return (packs, work.slabs), one


def _across(packs: int) -> int:
    """How many of a GPU block's threads stand along x, where the others stand along y: at most a warp."""
    return min(_power_of_two(packs), 32)


def _power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << (n - 1).bit_length()
