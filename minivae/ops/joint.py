"""Means over a batch whose rows several processes have."""

from __future__ import annotations

from minivae.device import empty_like
from minivae.kernels import launch
from minivae.ops.reductions import mean
from minivae.ops.unary import AFFINE
from minivae.parallel.group import Group
from minivae.tensor import Tensor, op
from minivae.work import elements


def batch_mean(x, group: Group) -> Tensor:
    """The mean over the rows of the whole batch in work, x (rows, ...) being this process's."""
    own = mean(x, axis=0)
    return own if group.size == 1 else joint_mean(own, group=group)


@op
def joint_mean(needs, x, *, group: Group):
    """The mean over the rows of the batch in work, of every process's mean over its own, x of any shape.

    The result is the same in all processes; its gradient is the sum of what they send back.
    """
    part, work, size = group.part, elements(x.size), x.size
    y = empty_like(x)
    launch("unary", work, x, y, size, AFFINE, part, 0.0)
    group.sum(y)

    def backward(dy, into):
        group.sum(dy)
        launch("unary", work, dy, dy, size, AFFINE, part, 0.0)
        return dy

    return y, backward
