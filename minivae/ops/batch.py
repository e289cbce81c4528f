"""Batches of images on the device (kernels/batch.cu): no operation of the graph, only its input."""

from __future__ import annotations

from copy import copy
from itertools import pairwise

import numpy as np

from minivae.device import Device
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.parallel.group import ALONE, Group
from minivae.work import rows


PIXELS = 16             # added to a noise's stream for the draws of its pixels: they are independent of its codes


class Images:
    """A set of images, and batches of it on a device: what all sets have, wherever their pixels lie.

    Args:
        count: how many images.
        pixels: numbers an image.
        device: of the batches.
        dtype: likewise, float32 or float64.
        binarize: whether a batch draws every pixel black or white, white with its value in [0, 1] as the probability, anew
            each time it is asked for another draw (Salakhutdinov & Murray 2008; dynamic where every step is a draw of its
            own).
        first: the index of the set's first image among all that share a noise.
    """

    def __init__(self, count: int, pixels: int, device: Device, dtype, binarize: bool, first: int):
        self.count, self.pixels, self.device, self.dtype = count, pixels, device, np.dtype(dtype)
        self.binarize, self.first, self._begin = binarize, first, 0

    def batch(self, start: int, size: int, noise: Noise = Noise(0, 0), *, seed: int = 0, epoch: int | None = None, into=None):
        """Images start .. start + size - 1 of an epoch's order; of the plain order where `epoch` is None.

        The order is a permutation keyed by (seed, epoch), the same wherever the images lie.

        Args:
            noise: which draw of the pixels, where they are binarized.
            into: (x, example) to write to, contiguous; None for new arrays.

        Returns:
            x: (size, pixels) in [0, 1].
            example: int32 (size,), each row's index in the set, counted from `first`.

        Raises:
            ValueError: the range leaves the set.
        """
        if not 0 <= start <= start + size <= self.count:
            raise ValueError(f"batch: images {start} to {start + size - 1} of a set of {self.count}")
        x, example = into or (self.device.empty((size, self.pixels), self.dtype), self.device.empty((size,), np.int32))
        self._fill(x, example, start, size, noise, seed, epoch)
        return x, example

    def _fill(self, x, example, start: int, size: int, noise: Noise, seed: int, epoch: int | None) -> None:
        """Write a batch."""
        raise NotImplementedError

    def part(self, begin: int, end: int) -> Images:
        """Images begin .. end - 1 as a set of their own: the memory is shared, and examples keep their numbers.

        Raises:
            ValueError: the range leaves the set.
        """
        if not 0 <= begin <= end <= self.count:
            raise ValueError(f"part: images {begin} to {end - 1} of a set of {self.count}")
        part = copy(self)
        part.count, part.first, part._begin = end - begin, self.first + begin, self._begin + begin
        return part

    def ranges(self, size: int, limit: int | None = None, group: Group = ALONE) -> list[tuple[int, int]]:
        """(start, size) of consecutive batches over the first `limit` images, of `size` at most and as even as can be:
        batch norm may take the statistics of each.

        Args:
            group: only over this process's share of them.
        """
        begin, end = group.share(min(self.count, limit or self.count))
        batches = -(-(end - begin) // size)
        bounds = [begin + (end - begin) * i // batches for i in range(batches)] + [end]
        return [(start, stop - start) for start, stop in pairwise(bounds)]


class DeviceImages(Images):
    """A set of images that lives on the device; the order of an epoch is computed in the kernel that gathers a batch.

    Args:
        images: (count, height, width, channels), on the host, of uint8, or of floats in [0, 1]; those are kept in `dtype`.
        device: where they go, once; see Device.to_read.
        dtype, binarize, first: see Images.
    """

    def __init__(self, images: np.ndarray, device: Device, dtype=np.float32, *, binarize: bool = False, first: int = 0):
        super().__init__(len(images), int(np.prod(images.shape[1:])), device, dtype, binarize, first)
        self._kernel = "gather_batch" if images.dtype == np.uint8 else "gather_batch_real"
        kept = kept_in(images, self.dtype)
        self._images = device.to_read(images.reshape(self.count, self.pixels).astype(kept, copy=False))

    def _fill(self, x, example, start: int, size: int, noise: Noise, seed: int, epoch: int | None) -> None:
        launch(self._kernel, rows(size, self.pixels), self._images, x, example, self.count, size, self.pixels,
               self._begin, start, seed, epoch or 0, int(epoch is not None), self.first, int(self.binarize), noise.seed,
               noise.step, noise.stream + PIXELS)


def kept_in(images: np.ndarray, dtype) -> np.dtype:
    """In what images are kept whose batches are of `dtype`: bytes as they are, floats in that."""
    return images.dtype if images.dtype == np.uint8 else np.dtype(dtype)
