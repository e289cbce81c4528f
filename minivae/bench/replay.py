"""The matrix products of a traced step alone: the floor under its time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivae.device import Device
from minivae.trace import Operand, Product

ALIGNMENT = 512         # bytes; what device memory is aligned to at most
PATTERN = 1 << 20       # so many different numbers fill the matrices


class Products:
    """Products like those of a trace, in their order, on matrices that lie to each other as the step's did.

    So a column buffer that the step used again and again is one here too, and weights lie where no other matrix
    does: the caches see what they saw in the step. What is written lies apart from what is read, so that numbers
    do not grow from step to step.

    Args:
        products: of a trace, all of one dtype.
        device: where to make them.
    """

    def __init__(self, products: Sequence[Product], device: Device):
        self.device = device
        read = _Memory([operand for p in products for operand in (p.a, p.b)], products[0].dtype, device)
        written = _Memory([p.out for p in products], products[0].dtype, device)
        self.calls = [(read.place(p.a), read.place(p.b), written.place(p.out), p.accumulate) for p in products]

    def step(self) -> None:
        """Make them all once."""
        for a, b, out, accumulate in self.calls:
            self.device.matmul(a, b, out=out, accumulate=accumulate)


class _Memory:
    """New memory for operands: those that overlapped in the trace overlap here, in the same way."""

    def __init__(self, operands: Sequence[Operand], dtype, device: Device):
        self.device, self.item = device, dtype.itemsize
        numbers = np.random.default_rng(0).standard_normal(PATTERN).astype(dtype)
        self.regions = [(start, end, device.from_host(np.resize(numbers, (end - start) // self.item)))
                        for start, end in regions(operands, self.item)]

    def place(self, operand: Operand):
        """The array that stands for an operand of the trace."""
        start, _, flat = next(region for region in self.regions if region[0] <= operand.address < region[1])
        return self.device.view(flat, (operand.address - start) // self.item, operand.shape, operand.strides)


def regions(operands: Sequence[Operand], item: int) -> list[tuple[int, int]]:
    """The (first, last + 1) addresses of the memory under the operands, whose elements have `item` bytes each.

    Operands that overlap share a region; each begins at a multiple of ALIGNMENT.
    """
    spans = sorted((operand.address // ALIGNMENT * ALIGNMENT, _end(operand, item)) for operand in set(operands))
    merged = spans[:1]
    for start, end in spans[1:]:
        first, last = merged[-1]
        if start < last:
            merged[-1] = (first, max(last, end))
        else:
            merged.append((start, end))
    return merged


def _end(operand: Operand, item: int) -> int:
    """The address behind an operand's last element."""
    return operand.address + item + sum((n - 1) * step for n, step in zip(operand.shape, operand.strides, strict=True))
