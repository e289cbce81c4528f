"""All parameters in one array, all gradients in another."""

from __future__ import annotations

import numpy as np

from minivae.device import Device
from minivae.nn.module import Module
from minivae.parallel.group import ALONE, Group
from minivae.tape import changed

FLAT_ALIGNMENT = 64     # bytes: where each parameter begins in the flat array


class Flat:
    """All parameters of a module as views of one array, all gradients of another.

    An optimizer step is then one launch, the global norm one reduction. Each parameter begins at a multiple of 64
    bytes; the gaps between them stay zero in both arrays.

    Args:
        group: the processes over which the gradients are added up, before an optimizer sees them.

    Attributes:
        values, grads: arrays of shape (size,).
        segments: (begin, end) of each parameter in them, the gap after it included.
    """

    def __init__(self, module: Module, device: Device, dtype=np.float32, group: Group = ALONE):
        self.group, self.parameters = group, list(module.parameters())
        step = FLAT_ALIGNMENT // np.dtype(dtype).itemsize
        starts, end = [], 0
        for p in self.parameters:
            starts.append(end)
            end += -(-p.data.size // step) * step
        self.segments = list(zip(starts, [*starts[1:], end], strict=True))
        self.values, self.grads = (group.zeros(device, (end,), dtype) for _ in range(2))
        for p, start in zip(self.parameters, starts, strict=True):
            views = (flat[start:start + p.data.size].reshape(p.shape) for flat in (self.values, self.grads))
            p.move(*views)
        self._memory = [p._changed for p in self.parameters]

    @property
    def count(self) -> int:
        """How many numbers training changes."""
        return sum(p.data.size for p in self.parameters)

    def changed(self) -> None:
        """Note that `values` have been overwritten: a backward pass that needs the old ones refuses to run."""
        changed(self._memory)

    def clear_grad(self) -> None:
        """Forget all gradients before the next backward pass."""
        for p in self.parameters:
            p.clear_grad()

    def require_grad(self, whole: bool = True) -> None:
        """Make `grads` whole: parameters that the cost did not use get the gradient zero, and of several processes all get
        the sum of theirs.

        Args:
            whole: False where each process needs the sum in its part of them alone, see Group.part_of.
        """
        for p in self.parameters:
            if p.grad is None:
                p._grad[...] = 0
                p._fresh = False
        (self.group.sum if whole else self.group.sum_part)(self.grads)
