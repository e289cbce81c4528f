"""Batches of images that stay on the host, since they would not fit on the device: gathered there, batch by batch."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from minivae.device import Device
from minivae.kernels import launch
from minivae.ops.batch import PIXELS, DeviceImages, Images, kept_in
from minivae.ops.reparameterize import Noise
from minivae.work import rows

AT_ONCE = 1 << 20       # images of an epoch whose order is computed at a time


class HostImages(Images):
    """A set of images on the host, such as a map of a file larger than memory. Its batches are the same, bit for bit, as those
    of DeviceImages of the same images.

    While the device works on a batch, a thread gathers the next one of the epoch.

    Args:
        images: (count, height, width, channels), of uint8 or of floats in [0, 1].
        order: which of them are the set, (count,) indices; None for all as they are.
        device, dtype, binarize, first: see Images.
    """

    def __init__(self, images: np.ndarray, device: Device, dtype=np.float32, *, binarize: bool = False, first: int = 0,
                 order: np.ndarray | None = None):
        count = len(images) if order is None else len(order)
        super().__init__(count, int(np.prod(images.shape[1:])), device, dtype, binarize, first)
        self._kernel = "place_batch" if images.dtype == np.uint8 else "place_batch_real"
        self._kept, self._order = kept_in(images, self.dtype), order
        self._images = images.reshape(len(images), self.pixels)
        self._epoch: tuple[int, int, int, int, np.ndarray] | None = None
        self._ahead: tuple[tuple, Future] | None = None
        self._thread = ThreadPoolExecutor(1, "minivae-images")

    def _fill(self, x, example, start: int, size: int, noise: Noise, seed: int, epoch: int | None) -> None:
        if not size:
            return
        numbers = self._numbers(start, size, seed, epoch)
        key = (self._begin, self.count, start, size, seed, epoch)
        ahead, self._ahead = self._ahead, None
        images = ahead[1].result() if ahead and ahead[0] == key else self._gathered(numbers)
        example[...] = self.device.from_host((numbers + self.first).astype(np.int32))
        launch(self._kernel, rows(size, self.pixels), self.device.from_host(images), example, x, size, self.pixels,
               int(self.binarize), noise.seed, noise.step, noise.stream + PIXELS)
        if start + 2 * size <= self.count:
            following = self._numbers(start + size, size, seed, epoch)
            self._ahead = (key[:2] + (start + size,) + key[3:], self._thread.submit(self._gathered, following))

    def _gathered(self, numbers: np.ndarray) -> np.ndarray:
        """The images of those numbers, (rows, pixels)."""
        places = numbers + self._begin
        return self._images[places if self._order is None else self._order[places]].astype(self._kept, copy=False)

    def _numbers(self, start: int, size: int, seed: int, epoch: int | None) -> np.ndarray:
        """Which images a batch has, counted from the set's begin."""
        if epoch is None:
            return np.arange(start, start + size)
        if self._epoch is None or self._epoch[:4] != (self._begin, self.count, seed, epoch):
            self._epoch = (self._begin, self.count, seed, epoch, self._permutation(seed, epoch))
        return self._epoch[4][start:start + size]

    def _permutation(self, seed: int, epoch: int) -> np.ndarray:
        """The order of an epoch: that in which a set of as many images of one pixel is shown."""
        small = DeviceImages(np.zeros((self.count, 1, 1, 1), np.uint8), self.device)
        return np.concatenate([self.device.to_host(small.batch(first, size, seed=seed, epoch=epoch)[1])
                               for first, size in small.ranges(AT_ONCE)])


def has_room(device: Device, nbytes: int) -> bool:
    """Whether so many bytes are at most half of what a device has free now."""
    return nbytes <= device.bytes_free // 2


def placed(images: np.ndarray, device: Device, dtype=np.float32, *, binarize: bool = False,
           order: np.ndarray | None = None) -> Images:
    """A set of images where it fits: on the device, or where there is no room for it on the host.

    Args:
        images, dtype, binarize: see DeviceImages.
        order: see HostImages.
    """
    kept = kept_in(images, dtype)
    in_place = order is None and images.dtype == kept and device.reads_in_place(images)
    if in_place or has_room(device, images.size * kept.itemsize):
        return DeviceImages(images if order is None else images[order], device, dtype, binarize=binarize)
    return HostImages(images, device, dtype, binarize=binarize, order=order)
