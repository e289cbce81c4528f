"""Batches of images on the device (kernels/batch.cu): no operation of the graph, only its input."""

from __future__ import annotations

import numpy as np

from minivae.device import Device
from minivae.kernels import launch
from minivae.work import rows


class DeviceImages:
    """A set of uint8 images that lives on the device, and batches of it.

    Args:
        images: uint8 (count, height, width, channels), on the host.
        device: where they go, once.
        dtype: of the batches, float32 or float64.

    Attributes:
        count: how many images.
        pixels: numbers an image.
    """

    def __init__(self, images: np.ndarray, device: Device, dtype=np.float32):
        self.count, self.pixels = len(images), int(np.prod(images.shape[1:]))
        self.device, self.dtype = device, np.dtype(dtype)
        self._images = device.from_host(images.reshape(self.count, self.pixels))

    def batch(self, start: int, size: int, *, seed: int = 0, epoch: int | None = None):
        """Images start .. start + size - 1 of an epoch's order; of the plain order where `epoch` is None.

        The order is a permutation keyed by (seed, epoch) and computed in the kernel.

        Returns:
            x: (size, pixels) in [0, 1].
            example: int32 (size,), each row's index in the set.

        Raises:
            ValueError: the range leaves the set.
        """
        if not 0 <= start <= start + size <= self.count:
            raise ValueError(f"batch: images {start} to {start + size - 1} of a set of {self.count}")
        x = self.device.empty((size, self.pixels), self.dtype)
        example = self.device.empty((size,), np.int32)
        launch("gather_batch", rows(size, self.pixels), self._images, x, example, self.count, size, self.pixels,
               start, seed, epoch or 0, int(epoch is not None))
        return x, example

    def ranges(self, size: int, limit: int | None = None):
        """(start, size) of consecutive batches over the first `limit` images; the last may be smaller."""
        end = min(self.count, limit or self.count)
        return [(start, min(size, end - start)) for start in range(0, end, size)]
