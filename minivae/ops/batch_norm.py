"""Batch normalization with its activation, as one operation (kernels/batch_norm.cu)."""

from __future__ import annotations

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.batch_norm_joint import joint_moments, joint_sums
from minivae.parallel.group import ALONE, Group
from minivae.tensor import op, place_for
from minivae.work import columns, slabs

ACTIVATIONS = {name: number for number, name in enumerate(
    ("identity", "relu", "tanh", "hard_tanh", "softplus", "sigmoid"))}   # as kernels/activation.cuh numbers them
EPSILON = 1e-5


def _partial_moments(x):
    """(moments of each slab of rows, number of slabs), for the kernel that merges them.

    With many rows (slabs, 2, channels): mean relative to x's first row, and variance. With few the next kernel
    takes the moments itself: 0 slabs, and any array stands in for them.
    """
    cut = slabs(device_of(x), *x.shape)
    return (partial_moments(x, cut) if cut else x), cut


def partial_moments(x, cut: int):
    """The moments (cut, 2, channels) of each of `cut` >= 1 slabs of x (rows, channels): see _partial_moments."""
    (rows, cols), device = x.shape, device_of(x)
    partial = device.empty((cut, 2, cols), x.dtype)
    launch("batch_norm_moments", columns(cols, cut), x, partial, rows, cols)
    return partial


def merge_moments(running, seen: int, x) -> None:
    """Add the rows of x (..., channels) to `running` (2, channels): mean and variance over `seen` rows."""
    x = x.reshape(-1, x.shape[-1])
    partial, cut = _partial_moments(x)
    launch("batch_norm_merge", columns(x.shape[1], 1), x, partial, running, *x.shape, cut, seen)


@op
def batch_norm(needs, x, gamma, beta, *, activation: str = "identity", fixed=None, epsilon: float = EPSILON,
               group: Group = ALONE):
    """act(gamma (x - mean) / sqrt(variance + epsilon) + beta), moments over all rows (Ioffe & Szegedy 2015).

    Args:
        x: (..., channels): everything before the channels counts as rows.
        gamma, beta: (channels,).
        activation: a key of ACTIVATIONS.
        fixed: (2, channels), mean and variance to use instead of the batch's own; no gradient goes there.
        group: the processes over whose rows the moments are; x are this one's of the batch in work. The gradients of gamma
            and beta are then parts whose sum over the processes is the whole.

    Returns:
        y: of x's shape.

    Raises:
        ValueError: no rows, shapes that do not fit, or an unknown activation.
    """
    check("batch_norm", x, gamma, beta, fixed)
    shape, x = x.shape, x.reshape(-1, x.shape[-1])
    (rows, cols), device = x.shape, device_of(x)
    act, given = activation_number(activation), int(fixed is not None)
    partial, cut = _partial_moments(x) if fixed is None else (fixed, 1)
    joint, part = fixed is None and group.size > 1, 1.0
    if joint:
        partial, cut, part = joint_moments(x, partial, cut, group), 1, group.part
    used, y = device.empty((2, cols), x.dtype), device.empty(x.shape, x.dtype)
    across = columns(cols, max(1, slabs(device, rows, cols)))
    launch("batch_norm_forward", across, x, partial, gamma, beta, y, used, rows, cols, cut, epsilon, act, given)

    def backward(dy, into):
        dy = dy.reshape(x.shape)
        cut, sums = slabs(device, rows, cols) or int(joint), x
        if cut:
            sums = device.empty((cut, 2, cols), x.dtype)
            launch("batch_norm_backward_sums", across, dy, x, used, gamma, beta, sums, rows, cols, epsilon, act, given)
        if joint:
            sums, cut = joint_sums(sums, group, part), 1
        dx = dy         # in place: a third of the bytes, and they are in the cache
        dgamma, dbeta = place_for(gamma, into[1]), place_for(beta, into[2])
        launch("batch_norm_backward", across, dy, x, used, gamma, beta, sums, dx, dgamma, dbeta,
               rows, cols, cut, epsilon, act, given)
        return dx.reshape(shape), dgamma, dbeta

    return y.reshape(shape), backward


def check(name: str, x, gamma, beta, fixed) -> None:
    """Refuse shapes that do not fit, for the operation of that name.

    Raises:
        ValueError: no rows, or parameters or moments of another shape than (channels,) and (2, channels).
    """
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"{name}: takes (rows, channels) with at least one row, got shape {x.shape}")
    cols = x.shape[-1]
    if gamma.shape != (cols,) or beta.shape != (cols,) or (fixed is not None and fixed.shape != (2, cols)):
        raise ValueError(f"{name}: x {x.shape} needs gamma and beta of shape ({cols},) and fixed moments of "
                         f"shape (2, {cols})")


def activation_number(activation: str) -> int:
    """The number by which the kernels know an activation.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return ACTIVATIONS[activation]
    except KeyError:
        raise ValueError(f"batch_norm: unknown activation {activation!r}; there are {', '.join(ACTIVATIONS)}") from None
