"""Batch norm's statistics over the rows of several processes (kernels/batch_norm_joint.cu): one small collective for the
forward pass of a layer, one for its backward pass."""

from __future__ import annotations

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.unary import AFFINE
from minivae.parallel.group import Group
from minivae.sums import sum_over
from minivae.work import columns, elements


def joint_moments(x, partial, cut: int, group: Group):
    """The moments (1, 2, channels) of the rows of all processes, the mean relative to x's first row.

    Args:
        x: (rows, channels), this process's rows of the batch in work (Group.take), as many an example as the others have.
        partial, cut: the moments of x's slabs, as ops.batch_norm has them.
    """
    (rows, cols), device = x.shape, device_of(x)
    summary, moments = device.empty((3, cols), x.dtype), device.empty((1, 2, cols), x.dtype)
    launch("batch_norm_summary", columns(cols, 1), x, partial, summary, rows, cols, cut)
    launch("batch_norm_join", columns(cols, 1), x, group.gather(summary), moments, cols, group.rows, group.size)
    return moments


def joint_sums(sums, group: Group, part: float):
    """This process's part of the sums over the rows of all processes: (1, 2, channels).

    A kernel that divides it by this process's rows has the mean over all rows; and all parts together are the sum, so that
    the gradients of scale and shift that are made of it may be added up with all others.

    Args:
        sums: (slabs, 2, channels), of this process's rows.
        part: how much of the batch is this process's.
    """
    total = sums if len(sums) == 1 else sum_over(sums, (0,))
    group.sum(total)
    launch("unary", elements(total.size), total, total, total.size, AFFINE, part, 0.0)
    return total
