"""Sums of arrays over axes (kernels/reductions.cu): what undoes broadcasting, and what ops/reductions.py is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from minivae.device import Device, device_of
from minivae.kernels import launch
from minivae.work import pixels, rows

# Longer sums are cut into parts of so many numbers: float32 sums stay short, and every processor has work.
ROW_PART = 1 << 16
COLUMN_PART, COLUMN_PART_GPU = 512, 64


def sum_over(x, axes: tuple[int, ...], scale: float = 1.0):
    """scale times the sum of a contiguous array over some of its axes, which the result keeps with size 1.

    Sums of no numbers are 0.
    """
    device, (left, groups) = device_of(x), _plan(x.shape, axes)
    if not groups:
        return device.zeros(left, x.dtype)
    for number, (_, reduced, inner) in enumerate(groups, 1):        # outer ones first: the inner ones' sizes stay true
        x = _sum_middle(device, x.reshape(-1, reduced, inner), scale if number == len(groups) else 1.0)
    return x.reshape(left)


@lru_cache(maxsize=1024)
def _plan(shape: tuple[int, ...], axes: tuple[int, ...]):
    """(the result's shape, the runs to sum over, the outermost first; none where there is nothing to sum)."""
    left = tuple(1 if i in axes else size for i, size in enumerate(shape))
    if math.prod(shape) == 0:
        return left, []
    return left, [*runs(shape, axes)][::-1] or [(1, 1, math.prod(shape))]   # of axes of size 1 one sum of each number


def runs(shape: tuple[int, ...], axes: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    """(outer, reduced, inner) for each run of neighbouring axes out of `axes`, the last run first; axes of size 1 separate
    nothing and make no run."""
    inner, at = 1, len(shape) - 1
    while at >= 0:
        reduced, kept = 1, 1
        while at >= 0 and (at not in axes or shape[at] == 1):
            kept *= shape[at]
            at -= 1
        while at >= 0 and (at in axes or shape[at] == 1):
            reduced *= shape[at]
            at -= 1
        inner *= kept
        if reduced > 1:
            yield math.prod(shape[:at + 1]), reduced, inner
        inner *= reduced


def _sum_middle(device: Device, x, scale: float):
    """scale times the sum of x (outer, reduced, inner) over its middle axis: (outer, inner)."""
    outer, reduced, inner = x.shape
    most = ROW_PART if inner == 1 else COLUMN_PART_GPU if device.cuda else COLUMN_PART
    while True:
        parts = -(-reduced // most)
        y, part = device.empty((outer, parts, inner), x.dtype), reduced if parts == 1 else most
        factor = scale if parts == 1 else 1.0
        if inner == 1:
            launch("sum_rows", rows(outer * parts, part), x, y, outer, parts, part, reduced, factor)
        else:
            launch("sum_columns", pixels(outer * parts, inner), x, y, outer, parts, part, reduced, inner, factor)
        if parts == 1:
            return y
        x, reduced = y, parts
