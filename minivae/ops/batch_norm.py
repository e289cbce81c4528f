"""Batch normalization with its activation, as one operation (kernels/batch_norm.cu)."""

from __future__ import annotations

from minivae.device import device_of
from minivae.kernels import columns, launch, slabs
from minivae.tensor import op

ACTIVATIONS = {name: number for number, name in enumerate(
    ("identity", "relu", "tanh", "hard_tanh", "softplus", "sigmoid"))}   # as kernels/activation.cuh numbers them
EPSILON = 1e-5


def moments(x):
    """Mean (relative to x's first row) and variance of each slab of rows of x (rows, channels).

    Returns:
        (slabs, 2, channels).

    Raises:
        ValueError: x has no rows or is not two-dimensional.
    """
    if x.ndim != 2 or x.shape[0] == 0:
        raise ValueError(f"batch_norm: takes (rows, channels) with at least one row, got shape {x.shape}")
    (rows, cols), device = x.shape, device_of(x)
    partial = device.empty((slabs(device, rows, cols), 2, cols), x.dtype)
    launch("batch_norm_moments", columns(cols, len(partial)), x, partial, rows, cols)
    return partial


def merge_moments(running, seen: int, x) -> None:
    """Add the rows of x (rows, channels) to `running` (2, channels): mean and variance over `seen` rows."""
    partial = moments(x)
    launch("batch_norm_merge", columns(x.shape[1], 1), x, partial, running, *x.shape, len(partial), seen)


@op
def batch_norm(needs, x, gamma, beta, *, activation: str = "identity", fixed=None, epsilon: float = EPSILON):
    """act(gamma (x - mean) / sqrt(variance + epsilon) + beta), moments over all rows (Ioffe & Szegedy 2015).

    Args:
        x: (rows, channels).
        gamma, beta: (channels,).
        activation: a key of ACTIVATIONS.
        fixed: (2, channels), mean and variance to use instead of the batch's own; no gradient goes there.

    Returns:
        y: (rows, channels).

    Raises:
        ValueError: no rows, shapes that do not fit, or an unknown activation.
    """
    partial = moments(x) if fixed is None else fixed[None]
    (rows, cols), device = x.shape, device_of(x)
    if gamma.shape != (cols,) or beta.shape != (cols,) or (fixed is not None and fixed.shape != (2, cols)):
        raise ValueError(f"batch_norm: x {x.shape} needs gamma and beta of shape ({cols},) and fixed moments of "
                         f"shape (2, {cols})")
    act, given = _number(activation), int(fixed is not None)
    used = device.empty((2, cols), x.dtype)
    y = device.empty(x.shape, x.dtype)
    cut = slabs(device, rows, cols)
    launch("batch_norm_forward", columns(cols, cut), x, partial, gamma, beta, y, used,
           rows, cols, len(partial), epsilon, act, given)

    def backward(dy, into):
        sums = device.empty((cut, 2, cols), x.dtype)
        launch("batch_norm_backward_sums", columns(cols, cut), dy, x, used, gamma, beta, sums, rows, cols, epsilon, act,
               given)
        dx = device.empty(x.shape, x.dtype)
        dgamma, dbeta = (device.empty((cols,), x.dtype) if place is None else place for place in into[1:])
        launch("batch_norm_backward", columns(cols, cut), dy, x, used, gamma, beta, sums, dx, dgamma, dbeta,
               rows, cols, cut, epsilon, act, given)
        return dx, dgamma, dbeta

    return y, backward


def _number(activation: str) -> int:
    try:
        return ACTIVATIONS[activation]
    except KeyError:
        raise ValueError(f"batch_norm: unknown activation {activation!r}; there are {', '.join(ACTIVATIONS)}") from None
