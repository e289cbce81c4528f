"""Dropout (kernels/dropout.cu)."""

from __future__ import annotations

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.ops.take import indices
from minivae.tensor import Tensor, op
from minivae.work import rows

STREAMS = 256       # layers' draws lie so far apart: noise.stream is below


def dropout(x, *, rate: float, noise: Noise, example=None, layer: int = 0) -> Tensor:
    """x / (1 - rate), each element set to 0 with probability `rate` (Srivastava et al. 2014).

    Which ones is drawn from (noise, layer, example, place in the row) in the kernel, the same on every device, and again
    in the backward pass; nothing is stored. In evaluation leave the operation out.

    Args:
        x: (rows, ...).
        rate: 0 <= rate < 1.
        noise: which draw; its stream is below 256.
        example: (rows,) whole numbers from 0 to 2^31 - 2: each row's index in the data set, since noise belongs to an
            example, not to a row. A list, a NumPy array, or an int32 array on x's device; by default 0, 1, 2 ...
        layer: tells several dropouts of one step apart.

    Raises:
        ValueError: a rate that is out of range, an x without rows, or examples of another shape.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: the rate must be at least 0 and below 1, not {rate}")
    if x.ndim == 0:
        raise ValueError("dropout: x must have rows, one for each example, not shape ()")
    array = x.data if isinstance(x, Tensor) else x
    example = indices("dropout", np.arange(len(array)) if example is None else example, 2**31 - 1, device_of(array))
    if example.shape != x.shape[:1]:
        raise ValueError(f"dropout: x of shape {x.shape} needs examples of shape {x.shape[:1]}, got {example.shape}")
    kept = min(round((1 - rate) * 2**32), 2**32 - 1)
    draw = (kept, 1 / (1 - rate), noise.seed, noise.step, noise.stream + STREAMS * (layer + 1))
    return _dropout(x, example=example, draw=draw)


@op
def _dropout(needs, x, *, example, draw: tuple):
    count, width = len(x), x.size // max(len(x), 1)
    device, work = device_of(x), rows(count if width else 0, width)
    y = device.empty(x.shape, x.dtype)
    launch("dropout", work, x, example, y, count, width, *draw)

    def backward(dy, into):
        dx = device.empty(dy.shape, dy.dtype)
        launch("dropout", work, dy, example, dx, count, width, *draw)
        return dx

    return y, backward
