"""Convolutions, channels last, as matrix products over columns (kernels/conv.cu)."""

from __future__ import annotations

import math
from typing import NamedTuple

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops import conv_direct, winograd
from minivae.tensor import op, place_for
from minivae.work import pieces, pixels


class _Columns(NamedTuple):
    """How images (images, height, width, channels) become columns and back, a few images at a time."""

    images: int
    height: int
    width: int
    channels: int
    kernel_height: int
    kernel_width: int
    stride: int
    pad: int
    out_height: int
    out_width: int

    @property
    def taps(self) -> int:
        """Numbers in a row of columns."""
        return self.kernel_height * self.kernel_width * self.channels

    def chunks(self, device, dtype) -> list[tuple[int, int]]:
        """(first image, last image) of pieces whose columns fit the device's column buffer."""
        return pieces(device, self.images, self.out_height * self.out_width * self.taps * dtype.itemsize)

    def buffer(self, device, dtype, first: int, last: int):
        """Uninitialized columns for images first .. last - 1."""
        return device.empty(((last - first) * self.out_height * self.out_width, self.taps), dtype)

    def fill(self, x, columns) -> None:
        """columns = im2col(x)."""
        launch("im2col", pixels(len(columns), self.kernel_width * self.channels), x, columns, len(columns), *self[1:])

    def gather(self, columns, x) -> None:
        """x = col2im(columns)."""
        count = x.shape[0] * self.height * self.width
        launch("col2im", pixels(count, self.channels), columns, x, count, *self[1:])

    def rows_of(self, y, first: int, last: int):
        """The rows of y (images * out_height * out_width, any) that belong to images first .. last - 1."""
        each = self.out_height * self.out_width
        return y[first * each:last * each]

    def convolve(self, device, x, w=None, y=None, dy=None, dw=None) -> None:
        """y = columns of x times w, and dw = their transpose times dy, or one of the two: the columns are filled once.

        Args:
            x: (images, height, width, channels).
            w, dw: (taps, outputs), contiguous or a transposed view.
            y, dy: (places, outputs).
        """
        if dw is not None and len(x) == 0:
            dw[...] = 0
            return
        if conv_direct.suits(self.taps, (dy if y is None else y).shape[1]):
            if y is not None:
                conv_direct.forward(device, x, w, y, self[1:])
            if dw is not None:
                conv_direct.weights(device, x, dy, dw, self[1:])
            return
        for first, last in self.chunks(device, x.dtype):
            columns = self.buffer(device, x.dtype, first, last)
            self.fill(x[first:last], columns)
            if y is not None:
                device.matmul(columns, w, out=self.rows_of(y, first, last))
            if dw is not None and dw.flags.c_contiguous:
                device.matmul(columns.T, self.rows_of(dy, first, last), out=dw, accumulate=first > 0)
            elif dw is not None:
                device.matmul(self.rows_of(dy, first, last).T, columns, out=dw.T, accumulate=first > 0)

    def transpose(self, device, y, w, x) -> None:
        """x (images, height, width, channels) = what y (places, outputs) times w (outputs, taps) adds to each pixel."""
        for first, last in self.chunks(device, x.dtype):
            columns = self.buffer(device, x.dtype, first, last)
            device.matmul(self.rows_of(y, first, last), w, out=columns)
            self.gather(columns, x[first:last])


def out_size(size: int, kernel: int, stride: int, pad: int) -> int:
    """How many places a kernel has along an axis of `size`, padded by `pad` on both sides."""
    return (size + 2 * pad - kernel) // stride + 1


def _flops(x, w, *, stride: int = 1, pad: int = 0) -> int:
    """Of conv2d by its definition: every output takes every tap, those outside the image too."""
    places = math.prod(out_size(size, k, stride, pad) for size, k in zip(x.shape[1:3], w.shape[:2], strict=True))
    return 2 * len(x) * places * w.size


@op(flops=_flops)
def conv2d(needs, x, w, *, stride: int = 1, pad: int = 0):
    """y[n, i, j, o] = sum x[n, i stride + a - pad, j stride + b - pad, c] w[a, b, c, o], zeros outside the image.

    Args:
        x: (images, height, width, channels).
        w: (kernel height, kernel width, channels, outputs).
        stride: >= 1.
        pad: zeros on every side, >= 0.

    Returns:
        y: (images, out height, out width, outputs), with out = (size + 2 pad - kernel) // stride + 1.

    Raises:
        ValueError: shapes that do not fit, or a kernel larger than the padded image.
    """
    _check("conv2d", x, w, stride, pad)
    out = [out_size(size, k, stride, pad) for size, k in zip(x.shape[1:3], w.shape[:2], strict=True)]
    if min(out) < 1:
        raise ValueError(f"conv2d: a kernel of {w.shape[:2]} is larger than an image of {x.shape[1:3]} with pad {pad}")
    if winograd.suits(w, stride, tuple(out)):
        return winograd.convolve(needs, x, w, pad, tuple(out))
    shape = _Columns(*x.shape, *w.shape[:2], stride, pad, *out)
    device, flat = device_of(x), w.reshape(-1, w.shape[3])
    y = device.empty((shape.images * shape.out_height * shape.out_width, w.shape[3]), x.dtype)
    shape.convolve(device, x, w=flat, y=y)

    def backward(dy, into):
        dy = dy.reshape(y_shape)
        dx = device.empty(x.shape, x.dtype) if needs[0] else None
        dw = place_for(w, into[1]) if needs[1] else None
        if needs[1]:
            shape.convolve(device, x, dy=dy, dw=dw.reshape(flat.shape))
        if needs[0]:
            shape.transpose(device, dy, flat.T, dx)
        return dx, dw

    y_shape = y.shape
    return y.reshape(shape.images, shape.out_height, shape.out_width, w.shape[3]), backward


def _transpose_flops(x, w, **_) -> int:
    """Of conv2d_transpose by its definition: every input pixel goes to every tap."""
    return 2 * math.prod(x.shape[:3]) * w.size


@op(flops=_transpose_flops)
def conv2d_transpose(needs, x, w, *, stride: int = 1, pad: int = 0, out_shape: tuple[int, int] | None = None):
    """The transpose of conv2d: y[n, i stride + a - pad, j stride + b - pad, o] += x[n, i, j, c] w[a, b, c, o].

    With stride 2 and a flipped kernel it is "upsample with zeros, then convolve" at a quarter of the arithmetic.

    Args:
        x: (images, height, width, channels).
        w: (kernel height, kernel width, channels, outputs).
        out_shape: (height, width) of y; by default (size - 1) stride + kernel - 2 pad.

    Returns:
        y: (images, *out_shape, outputs).

    Raises:
        ValueError: shapes that do not fit.
    """
    _check("conv2d_transpose", x, w, stride, pad)
    if out_shape is None:
        out_shape = tuple((size - 1) * stride + k - 2 * pad for size, k in zip(x.shape[1:3], w.shape[:2], strict=True))
    device, outputs = device_of(x), w.shape[3]
    # The image side of the columns is y here; the columns' rows are x's pixels.
    shape = _Columns(x.shape[0], *out_shape, outputs, *w.shape[:2], stride, pad, *x.shape[1:3])
    if min(out_shape) < 1 or any(out_size(size, k, stride, pad) < n for size, k, n in
                                 zip(out_shape, w.shape[:2], x.shape[1:3], strict=True)):
        raise ValueError(f"conv2d_transpose: an output of {out_shape} has no room for {x.shape[1:3]} kernels of "
                         f"{w.shape[:2]} with stride {stride} and pad {pad}")
    x2, flat = x.reshape(-1, x.shape[3]), _inputs_first(device, w)
    y = device.empty((shape.images, *out_shape, outputs), x.dtype)
    shape.transpose(device, x2, flat, y)

    def backward(dy, into):
        dx = device.empty(x2.shape, x.dtype) if needs[0] else None
        dflat = device.empty(flat.shape, x.dtype) if needs[1] else None
        shape.convolve(device, dy, w=flat.T, y=dx, dy=x2, dw=None if dflat is None else dflat.T)
        return (None if dx is None else dx.reshape(x.shape),
                None if dflat is None else _inputs_third(dflat, place_for(w, into[1])))

    return y, backward


def _inputs_first(device, w):
    """w (a, b, inputs, outputs) as a matrix (inputs, a * b * outputs)."""
    kh, kw, inputs, outputs = w.shape
    flat = device.empty((inputs, kh, kw, outputs), w.dtype)
    flat[...] = w.transpose(2, 0, 1, 3)
    return flat.reshape(inputs, -1)


def _inputs_third(flat, w):
    """The inverse of _inputs_first: into w, which is returned."""
    kh, kw, inputs, outputs = w.shape
    w[...] = flat.reshape(inputs, kh, kw, outputs).transpose(1, 2, 0, 3)
    return w


def _check(name: str, x, w, stride: int, pad: int) -> None:
    if (x.ndim != 4 or w.ndim != 4 or x.shape[3] != w.shape[2] or min(*x.shape[1:], *w.shape) < 1 or stride < 1
            or pad < 0):
        raise ValueError(f"{name}: x {x.shape} and w {w.shape} do not fit with stride {stride} and pad {pad}: they are "
                         "(images, height, width, channels) and (kernel height, kernel width, channels, outputs), all but the images "
                         "at least 1")
