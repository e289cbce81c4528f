"""Gradients checked by finite differences.

The derivative along a direction v is taken twice: from the backward pass, <v, gradient>, and from
two forward passes, (f(x + h v) - f(x - h v)) / 2h. A random direction moves every element at once, so two forward
passes check a function of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minivae.device import Device, cpu
from minivae.tensor import Tensor


def directional_error(f: Callable[..., Tensor], inputs: Sequence[np.ndarray], *, device: Device | None = None,
                      step: float = 1e-6, seed: int = 0, directions: int = 3) -> float:
    """The largest relative difference between the two derivatives over random directions.

    Args:
        f: a function of Tensors that returns a Tensor of one element.
        inputs: float64 arrays, the point to check at.
        device: where to compute.
        step: h; for float64 and smooth f about 1e-6 leaves 1e-9 of rounding and truncation.

    Returns:
        max |backward - numeric| / max(|backward|, |numeric|, 1e-8).
    """
    device = device or cpu()
    rng = np.random.default_rng(seed)

    def value(arrays) -> float:
        return f(*(Tensor(device.from_host(a)) for a in arrays)).item()

    leaves = [Tensor(device.from_host(a), requires_grad=True) for a in inputs]
    f(*leaves).backward()
    gradients = [np.zeros_like(a) if t.grad is None else device.to_host(t.grad)
                 for a, t in zip(inputs, leaves, strict=True)]
    worst = 0.0
    for _ in range(directions):
        vs = [rng.standard_normal(a.shape) for a in inputs]
        backward = sum(float((v * g).sum()) for v, g in zip(vs, gradients, strict=True))
        ahead, behind = (value([a + h * v for a, v in zip(inputs, vs, strict=True)]) for h in (step, -step))
        numeric = (ahead - behind) / (2 * step)
        worst = max(worst, abs(backward - numeric) / max(abs(backward), abs(numeric), 1e-8))
    return worst
