"""3 x 3 convolutions of stride 1 by minimal filtering, F(4 x 4, 3 x 3) (kernels/winograd.cu).

Winograd 1980; Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.3: 36 multiplications
for a tile of 4 x 4 outputs and a pair of channels instead of 144. ops/conv.py takes this way where `suits` says so.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from minivae.device import device_of
from minivae.kernels import launch
from minivae.tensor import place_for
from minivae.work import elements, pieces, pixels

TILE, POINTS = 4, 36     # outputs along an axis of a tile, and numbers of a transformed tile, as in the kernels
LEAST_CHANNELS = 16     # with fewer the transforms cost more than the products save


def suits(w, stride: int, out_shape: tuple[int, int]) -> bool:
    """Whether a convolution with kernels w (height, width, inputs, outputs) to images of that size is faster this way."""
    tiles = math.prod(-(-size // TILE) for size in out_shape)
    return (w.shape[:2] == (3, 3) and stride == 1 and min(w.shape[2:]) >= LEAST_CHANNELS
            and tiles * POINTS < math.prod(out_shape) * 9)


class _Tiles(NamedTuple):
    """How images and their convolutions are cut into tiles of 4 x 4 outputs, a few images at a time."""

    height: int         # of the inputs
    width: int
    inputs: int         # channels
    out_height: int
    out_width: int
    outputs: int
    pad: int

    @property
    def high(self) -> int:
        return -(-self.out_height // TILE)

    @property
    def wide(self) -> int:
        return -(-self.out_width // TILE)

    def chunks(self, device, dtype, images: int) -> list[tuple[int, int]]:
        """(first image, last image) of pieces whose tiles fit the device's column buffer."""
        return pieces(device, images, POINTS * self.count(1) * max(self.inputs, self.outputs) * dtype.itemsize)

    def count(self, images: int) -> int:
        """How many tiles that many images have."""
        return images * self.high * self.wide

    def buffer(self, device, dtype, images: int, channels: int):
        """Uninitialized tiles (36, tiles, channels), and behind each matrix what puts the next one elsewhere in the caches."""
        return device.empty((POINTS, device.rows_apart(self.count(images), channels * dtype.itemsize), channels), dtype)

    def transform_input(self, x, v) -> None:
        """v = B^T x B."""
        tiles = self.count(len(x))
        launch("winograd_input", pixels(tiles, self.inputs), x, v, tiles, v[0].size, self.high, self.wide, self.height,
               self.width, self.inputs, self.pad)

    def transform_output(self, m, y) -> None:
        """y = A^T m A."""
        self._output("winograd_output", m, y, self.count(len(y)), m[0].size)

    def transpose_output(self, dy, dm) -> None:
        """dm from dy."""
        self._output("winograd_output_backward", dy, dm, self.count(len(dy)), dm[0].size)

    def _output(self, kernel: str, a, b, tiles: int, apart: int) -> None:
        launch(kernel, pixels(tiles, self.outputs), a, b, tiles, apart, self.high, self.wide, self.out_height, self.out_width,
               self.outputs)

    def transpose_input(self, dv, dx) -> None:
        """dx from dv."""
        cells = len(dx) * (self.high + 1) * (self.wide + 1)
        launch("winograd_input_backward", pixels(cells, self.inputs), dv, dx, cells, dv[0].size, self.high, self.wide,
               self.height, self.width, self.inputs, self.pad)


def convolve(needs, x, w, pad: int, out_shape: tuple[int, int]):
    """(y, backward) of conv2d with 3 x 3 kernels and stride 1, as an op's function returns them.

    Args:
        needs: whether x and w need a gradient.
        x: (images, height, width, inputs).
        w: (3, 3, inputs, outputs).
        out_shape: (height, width) of y.
    """
    device, pairs = device_of(x), w.shape[2] * w.shape[3]
    tiles = _Tiles(*x.shape[1:], *out_shape, w.shape[3], pad)
    u = device.empty((POINTS, *w.shape[2:]), x.dtype)
    launch("winograd_weights", elements(pairs), w, u, pairs)
    y = device.empty((len(x), *out_shape, w.shape[3]), x.dtype)
    chunks = tiles.chunks(device, x.dtype, len(x))
    for first, last in chunks:
        v, m = (tiles.buffer(device, x.dtype, last - first, channels) for channels in w.shape[2:])
        count = tiles.count(last - first)
        tiles.transform_input(x[first:last], v)
        device.matmul(v[:, :count], u, out=m[:, :count])
        tiles.transform_output(m, y[first:last])

    def backward(dy, into):
        dx = device.empty(x.shape, x.dtype) if needs[0] else None
        du = None
        if needs[1]:
            du = (device.empty if chunks else device.zeros)(u.shape, x.dtype)
        for first, last in chunks:
            v, dm = (tiles.buffer(device, x.dtype, last - first, channels) for channels in w.shape[2:])
            count = tiles.count(last - first)
            tiles.transpose_output(dy[first:last], dm)
            if needs[1]:
                tiles.transform_input(x[first:last], v)
                device.matmul(v[:, :count].transpose(0, 2, 1), dm[:, :count], out=du, accumulate=first > 0)
            if needs[0]:
                device.matmul(dm[:, :count], u.transpose(0, 2, 1), out=v[:, :count])
                tiles.transpose_input(v, dx[first:last])
        if needs[1]:
            dw = place_for(w, into[1])
            launch("winograd_weights_backward", elements(pairs), du, dw, pairs)
        return dx, dw if needs[1] else None

    return y, backward
