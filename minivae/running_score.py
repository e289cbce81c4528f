"""The costs of an epoch's steps, summed on the device: nobody waits for them until they are looked at."""

from __future__ import annotations

import numpy as np

from minivae.device import Device
from minivae.kernels import launch
from minivae.models import Cost
from minivae.work import blocks


class RunningScore:
    """Sums over steps of the mean reconstruction and the mean KL, and the first step in which one was not finite.

    Args:
        device: where.
        dtype: of the costs.
    """

    def __init__(self, device: Device, dtype):
        self._device, self._sums = device, device.zeros((3,), dtype)
        self.begin()

    def begin(self) -> None:
        """Start anew."""
        self._sums[...] = 0
        self._sums[2] = -1

    def add(self, cost: Cost, rows: int, number: int) -> None:
        """Add the cost of step `number`, which had so many rows: one launch."""
        launch("keep_score", blocks(1), cost.reconstruction, cost.kl, self._sums, rows, number)

    def read(self) -> list[float]:
        """[sum of reconstructions, sum of KLs, the first step that was not finite or -1]; waits for the device."""
        return self._device.to_host(self._sums).tolist()

    def set(self, read: list[float]) -> None:
        """Go on from what read() gave."""
        self._sums[...] = self._device.from_host(np.array(read, self._sums.dtype))
