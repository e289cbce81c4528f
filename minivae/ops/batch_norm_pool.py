"""Batch normalization with its activation and max pooling, as one operation (kernels/batch_norm_pool.cu)."""

from __future__ import annotations

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.batch_norm import EPSILON, activation_number, check, partial_moments
from minivae.ops.batch_norm_joint import joint_moments, joint_sums
from minivae.ops.pool import pooled_shape
from minivae.parallel.group import ALONE, Group
from minivae.tensor import op, place_for
from minivae.work import columns, slabs


@op
def batch_norm_pool2d(needs, x, gamma, beta, *, activation: str = "identity", size: int = 2, fixed=None,
                      epsilon: float = EPSILON, group: Group = ALONE):
    """max_pool2d(batch_norm(x, ...), size), without the images in between.

    Args:
        x: (images, height, width, channels), height and width multiples of size.
        gamma, beta, activation, fixed, epsilon, group: see ops.batch_norm.
        size: see ops.max_pool2d.

    Returns:
        y: (images, height / size, width / size, channels).

    Raises:
        ValueError: as both raise it.
    """
    check("batch_norm_pool2d", x, gamma, beta, fixed)
    small, device = pooled_shape("batch_norm_pool2d", x, size), device_of(x)
    rows, cols = x.size // x.shape[3], x.shape[3]
    act, given = activation_number(activation), int(fixed is not None)
    cut = max(1, slabs(device, rows, cols))
    partial, merged = (partial_moments(x.reshape(rows, cols), cut), cut) if fixed is None else (fixed, 1)
    joint, part = fixed is None and group.size > 1, 1.0
    if joint:
        partial, merged, part = joint_moments(x.reshape(rows, cols), partial, cut, group), 1, group.part
    used = device.empty((2, cols), x.dtype)
    y, xhat, chosen = (device.empty(small, dtype) for dtype in (x.dtype, x.dtype, np.uint8))
    across, shape = columns(cols, cut), (small[2], size)
    launch("batch_norm_pool_forward", across, x, partial, gamma, beta, y, xhat, chosen, used, rows, cols, merged, *shape,
           epsilon, act, given)

    def backward(dy, into):
        sums = device.empty((cut, 2, cols), x.dtype)
        launch("batch_norm_pool_backward_sums", across, dy, xhat, gamma, beta, sums, rows // size**2, cols, act)
        summed = cut
        if joint:
            sums, summed = joint_sums(sums, group, part), 1
        dx, dgamma, dbeta = device.empty(x.shape, x.dtype), place_for(gamma, into[1]), place_for(beta, into[2])
        launch("batch_norm_pool_backward", across, dy, xhat, chosen, x, used, gamma, beta, sums, dx, dgamma, dbeta, rows,
               cols, summed, *shape, epsilon, act, given)
        return dx, dgamma, dbeta

    return y, backward
