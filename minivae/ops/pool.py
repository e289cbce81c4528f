"""Max and average pooling and perforated upsampling, channels last (kernels/pool.cu)."""

from __future__ import annotations

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.tensor import op
from minivae.work import pixels


@op
def max_pool2d(needs, x, *, size: int = 2):
    """The largest of each size x size window; the first of equals, and NaN wins.

    Args:
        x: (images, height, width, channels), height and width multiples of size.
        size: 1 to 16: a place within the window is kept in a byte.

    Returns:
        y: (images, height / size, width / size, channels).

    Raises:
        ValueError: the size does not divide the image.
    """
    device = device_of(x)
    y = device.empty(pooled_shape("max_pool2d", x, size), x.dtype)
    chosen = device.empty(y.shape, np.uint8)
    work, shape = _work_and_shape(y)
    launch("max_pool", work, x, y, chosen, *shape, size)

    def backward(dy, into):
        dx = device.empty(x.shape, x.dtype)
        launch("max_pool_backward", work, dy, chosen, dx, *shape, size)
        return dx

    return y, backward


@op
def average_pool2d(needs, x, *, size: int = 2):
    """The mean of each size x size window.

    Args:
        x: (images, height, width, channels), height and width multiples of size.
        size: 1 to 16.

    Returns:
        y: (images, height / size, width / size, channels).

    Raises:
        ValueError: the size does not divide the image.
    """
    device = device_of(x)
    y = device.empty(pooled_shape("average_pool2d", x, size), x.dtype)
    work, shape = _work_and_shape(y)
    launch("average_pool", work, x, y, *shape, size)

    def backward(dy, into):
        dx = device.empty(x.shape, x.dtype)
        launch("average_pool_backward", work, dy, dx, *shape, size)
        return dx

    return y, backward


@op
def upsample2d(needs, x, *, size: int = 2):
    """Each pixel at the top left of a size x size cell, zeros elsewhere.

    Args:
        x: (images, height, width, channels).

    Returns:
        y: (images, height * size, width * size, channels).

    Raises:
        ValueError: x has not four dimensions, or size < 1.
    """
    if x.ndim != 4 or size < 1:
        raise ValueError(f"upsample2d: takes (images, height, width, channels) and a size of at least 1, got {x.shape} "
                         f"and {size}")
    device = device_of(x)
    y = device.empty((x.shape[0], x.shape[1] * size, x.shape[2] * size, x.shape[3]), x.dtype)
    work, shape = _work_and_shape(x)
    launch("upsample", work, x, y, *shape, size)

    def backward(dy, into):
        dx = device.empty(x.shape, x.dtype)
        launch("upsample_backward", work, dy, dx, *shape, size)
        return dx

    return y, backward


def pooled_shape(name: str, x, size: int) -> tuple[int, int, int, int]:
    """The shape of x (images, height, width, channels) when pooled by `size`, for the operation of that name.

    Raises:
        ValueError: the size does not divide the image.
    """
    if x.ndim != 4 or not 1 <= size <= 16 or x.shape[1] % size or x.shape[2] % size:
        raise ValueError(f"{name}: windows of size {size} do not divide {x.shape}, (images, height, width, channels)")
    return x.shape[0], x.shape[1] // size, x.shape[2] // size, x.shape[3]


def _work_and_shape(small):
    """What a launch over the smaller images covers, and their sizes as the kernels take them."""
    images, height, width, channels = small.shape
    count = images * height * width
    return pixels(count if channels else 0, channels), (count, width, channels)
