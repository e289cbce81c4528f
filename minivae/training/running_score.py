"""The costs of an epoch's steps, summed on the device: nobody waits for them until they are looked at."""

from __future__ import annotations

import numpy as np

from minivae.device import Device
from minivae.kernels import launch
from minivae.models import Cost
from minivae.parallel.group import ALONE, Group
from minivae.work import blocks


class RunningScore:
    """Sums over steps of the mean reconstruction and the mean KL, and the first step in which one was not finite.

    Args:
        device: where.
        dtype: of the costs.
        group: the processes that share every batch; all must look at it, and see the same.
        batch_size: rows of a batch.
    """

    def __init__(self, device: Device, dtype, group: Group = ALONE, batch_size: int = 1):
        self._device, self._sums = device, device.zeros((3,), dtype)
        self._group, self._batch_size = group, batch_size
        self.begin()

    def begin(self) -> None:
        """Start anew."""
        self._sums[...] = 0
        self._sums[2] = -1

    def add(self, cost: Cost, rows: int, number: int) -> None:
        """Add the cost of step `number`, which had so many rows here: one launch."""
        launch("keep_score", blocks(1), cost.reconstruction, cost.kl, self._sums, rows, number)

    def read(self) -> list[float]:
        """[sum of reconstructions, sum of KLs, the first step that was not finite or -1]; waits for the device, and for all
        processes."""
        told = self._group.exchange(self._device.to_host(self._sums).tolist())
        if len(told) == 1:
            return told[0]
        shares = (self._group.share(self._batch_size, rank) for rank in range(len(told)))
        rows = [end - begin for begin, end in shares]
        sums = [sum(n * one[i] for n, one in zip(rows, told, strict=True)) / sum(rows) for i in range(2)]
        return [*sums, min((bad for *_, bad in told if bad >= 0), default=-1.0)]

    def set(self, read: list[float]) -> None:
        """Go on from what read() gave: the mean of that over the processes is itself."""
        self._sums[...] = self._device.from_host(np.array(read, self._sums.dtype))
