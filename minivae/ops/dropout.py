"""Dropout (kernels/dropout.cu)."""

from __future__ import annotations

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.tensor import op
from minivae.work import elements

STREAMS = 256       # layers' draws lie so far apart: noise.stream is below


@op
def dropout(needs, x, *, rate: float, noise: Noise, layer: int = 0):
    """x / (1 - rate), each element set to 0 with probability `rate` (Srivastava et al. 2014).

    Which ones is drawn from (noise, layer, place in x) in the kernel, the same on every device, and again in the
    backward pass; nothing is stored. In evaluation leave the operation out.

    Args:
        rate: 0 <= rate < 1.
        noise: which draw; its stream is below 256.
        layer: tells several dropouts of one step apart.

    Raises:
        ValueError: a rate that is out of range.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: the rate must be at least 0 and below 1, not {rate}")
    device, n = device_of(x), x.size
    kept = min(round((1 - rate) * 2**32), 2**32 - 1)
    draw = (kept, 1 / (1 - rate), noise.seed, noise.step, noise.stream + STREAMS * (layer + 1))
    y, work = device.empty(x.shape, x.dtype), elements(n)
    launch("dropout", work, x, y, n, *draw)

    def backward(dy, into):
        dx = device.empty(dy.shape, dy.dtype)
        launch("dropout", work, dy, dx, n, *draw)
        return dx

    return y, backward
