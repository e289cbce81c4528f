"""Convolutions of few channels by their definition (kernels/conv_direct.cu); ops/conv.py takes this way where it suits."""

from __future__ import annotations

from minivae.kernels import launch
from minivae.work import columns, elements, pixels

MOST_TAPS = 32          # numbers of the image that a kernel takes; with more, a product over columns is faster
SLAB, MOST_SLABS = 256, 1024      # places to a partial sum of the weights' gradient, and at most so many sums


def suits(taps: int, outputs: int) -> bool:
    """Whether a convolution whose kernels take `taps` numbers each, and of which there are `outputs`, is faster this way."""
    return taps <= MOST_TAPS and taps <= outputs


def forward(device, x, w, y, shape: tuple[int, ...]) -> None:
    """y (places, outputs) = the convolution of x with w (taps, outputs), which need not be contiguous.

    Args:
        shape: height, width, channels, kernel height, kernel width, stride, pad, out height, out width.
    """
    launch("conv_direct_forward", pixels(*y.shape), x, _contiguous(device, w), y, *y.shape, *shape)


def weights(device, x, dy, dw, shape: tuple[int, ...]) -> None:
    """dw (taps, outputs), which need not be contiguous, from dy (places, outputs); shape as in forward."""
    places, outputs = dy.shape
    slabs = max(1, min(MOST_SLABS, places // SLAB))
    partial = device.empty((slabs, *dw.shape), x.dtype)
    launch("conv_direct_weights", columns(outputs, slabs), x, dy, partial, places, outputs, *shape)
    merged = dw if dw.flags.c_contiguous else device.empty(dw.shape, dw.dtype)
    launch("conv_direct_merge", elements(dw.size), partial, merged, slabs, dw.size)
    if merged is not dw:
        dw[...] = merged


def _contiguous(device, w):
    if w.flags.c_contiguous:
        return w
    copy = device.empty(w.shape, w.dtype)
    copy[...] = w
    return copy
