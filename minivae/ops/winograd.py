"""3 x 3 convolutions of stride 1 by minimal filtering, F(2 x 2, 3 x 3) (kernels/winograd.cu).

Winograd 1980; Lavin & Gray 2016, "Fast algorithms for convolutional neural networks", section 4.1: 16 multiplications
for a tile of 2 x 2 outputs and a pair of channels instead of 36. ops/conv.py takes this way where `suits` says so.
"""

from __future__ import annotations

from typing import NamedTuple

from minivae.device import device_of
from minivae.kernels import launch
from minivae.tensor import place_for
from minivae.work import elements, pixels

LEAST_CHANNELS = 16     # with fewer the transforms cost more than the products save


def suits(w, stride: int) -> bool:
    """Whether a convolution with kernels w (height, width, inputs, outputs) is faster this way."""
    return w.shape[:2] == (3, 3) and stride == 1 and min(w.shape[2:]) >= LEAST_CHANNELS


class _Tiles(NamedTuple):
    """How images and their convolutions are cut into tiles of 2 x 2 outputs, a few images at a time."""

    height: int         # of the inputs
    width: int
    inputs: int         # channels
    out_height: int
    out_width: int
    outputs: int
    pad: int

    @property
    def high(self) -> int:
        return -(-self.out_height // 2)

    @property
    def wide(self) -> int:
        return -(-self.out_width // 2)

    def chunks(self, device, dtype, images: int) -> list[tuple[int, int]]:
        """(first image, last image) of pieces whose tiles fit the device's column buffer."""
        each = 16 * self.high * self.wide * max(self.inputs, self.outputs) * dtype.itemsize
        # Whole fours: then every piece of an array begins at a multiple of 16 bytes, as kernels ask for.
        count = max(4, device.column_bytes // each // 4 * 4)
        return [(first, min(first + count, images)) for first in range(0, images, count)]

    def buffer(self, device, dtype, images: int, channels: int):
        """Uninitialized tiles (16, tiles, channels)."""
        return device.empty((16, images * self.high * self.wide, channels), dtype)

    def transform_input(self, x, v) -> None:
        """v = B^T x B."""
        launch("winograd_input", pixels(v.shape[1], self.inputs), x, v, v.shape[1], self.high, self.wide, self.height,
               self.width, self.inputs, self.pad)

    def transform_output(self, m, y) -> None:
        """y = A^T m A."""
        self._output("winograd_output", m, y, m.shape[1])

    def transpose_output(self, dy, dm) -> None:
        """dm from dy."""
        self._output("winograd_output_backward", dy, dm, dm.shape[1])

    def _output(self, kernel: str, a, b, tiles: int) -> None:
        launch(kernel, pixels(tiles, self.outputs), a, b, tiles, self.high, self.wide, self.out_height, self.out_width,
               self.outputs)

    def transpose_input(self, dv, dx) -> None:
        """dx from dv."""
        cells = len(dx) * (self.high + 1) * (self.wide + 1)
        launch("winograd_input_backward", pixels(cells, self.inputs), dv, dx, cells, self.high, self.wide, self.height,
               self.width, self.inputs, self.pad)


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
    u = device.empty((16, *w.shape[2:]), x.dtype)
    launch("winograd_weights", elements(pairs), w, u, pairs)
    y = device.empty((len(x), *out_shape, w.shape[3]), x.dtype)
    pieces = tiles.chunks(device, x.dtype, len(x))
    for first, last in pieces:
        v, m = (tiles.buffer(device, x.dtype, last - first, channels) for channels in w.shape[2:])
        tiles.transform_input(x[first:last], v)
        device.matmul(v, u, out=m)
        tiles.transform_output(m, y[first:last])

    def backward(dy, into):
        dx = device.empty(x.shape, x.dtype) if needs[0] else None
        du = device.empty(u.shape, x.dtype) if needs[1] else None
        for first, last in pieces:
            v, dm = (tiles.buffer(device, x.dtype, last - first, channels) for channels in w.shape[2:])
            tiles.transpose_output(dy[first:last], dm)
            if needs[1]:
                tiles.transform_input(x[first:last], v)
                device.matmul(v.transpose(0, 2, 1), dm, out=du, accumulate=first > 0)
            if needs[0]:
                device.matmul(dm, u.transpose(0, 2, 1), out=v)
                tiles.transpose_input(v, dx[first:last])
        if needs[1]:
            dw = place_for(w, into[1])
            launch("winograd_weights_backward", elements(pairs), du, dw, pairs)
        return dx, dw if needs[1] else None

    return y, backward
