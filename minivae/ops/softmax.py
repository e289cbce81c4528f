"""Softmax, its logarithm, and the cross-entropy (kernels/softmax.cu)."""

from __future__ import annotations

from minivae.device import device_of, empty_like
from minivae.kernels import launch
from minivae.ops.reductions import Rows
from minivae.ops.take import indices
from minivae.tensor import Tensor, op


@op
def softmax(needs, x, *, axis: int = -1):
    """e^x over the sum of e^x along an axis, shifted so that nothing overflows.

    Raises:
        ValueError: no elements along the axis, or no such axis.
    """
    return _softmax("softmax", x, axis, 0)


@op
def log_softmax(needs, x, *, axis: int = -1):
    """x - log sum e^x along an axis: the logarithm of softmax, also where that would be 0.

    Raises:
        ValueError: no elements along the axis, or no such axis.
    """
    return _softmax("log_softmax", x, axis, 1)


def _softmax(name: str, x, axis: int, logarithm: int):
    r = Rows(name, x, axis)
    y = empty_like(r.x)
    launch("softmax_forward", r.work, r.x, y, *r.sizes, logarithm)

    def backward(dy, into):
        dx = empty_like(y)
        launch("softmax_backward", r.work, r.rows_of(dy), y, dx, *r.sizes, logarithm)
        return r.back(dx)

    return r.back(y), backward


def cross_entropy(x, target) -> Tensor:
    """-sum p log softmax(x) over the last axis, in nats: a cost for every row, not their mean.

    Args:
        x: (..., classes), logits.
        target: p: either labels, whole numbers of shape (...) below `classes`, where p is 1 at the label and 0 elsewhere
            (a list, a NumPy array, or an int32 array on x's device); or p itself, of x's shape and dtype. No gradient
            goes there.

    Returns:
        cost: (...).

    Raises:
        ValueError: a target of another shape or one that needs a gradient, or no classes.
        IndexError: a label that is out of range; among labels on a GPU, which nobody looks at, it makes its cost NaN.
        TypeError: a target of another dtype or on another device.
    """
    if isinstance(target, Tensor) and target.requires_grad:
        raise ValueError("cross_entropy: no gradient goes to the target; give its detach()")
    target = target.data if isinstance(target, Tensor) else target
    if getattr(getattr(target, "dtype", None), "kind", "i") == "f":
        return _cross_entropy(x, target)
    logits = x.data if isinstance(x, Tensor) else x
    if not logits.ndim:
        raise ValueError("cross_entropy: logits are (..., classes), but a single number has no classes")
    return _cross_entropy_labels(x, indices("cross_entropy", target, logits.shape[-1], device_of(logits)))


@op
def _cross_entropy(needs, x, p):
    if x.shape != p.shape:
        raise ValueError(f"cross_entropy: logits of shape {x.shape} and probabilities of shape {p.shape}")
    r, device = Rows("cross_entropy", x, -1), device_of(x)
    cost, every, weight = r.empty(), r.empty(), r.empty()
    launch("cross_entropy", r.work, r.x, p, cost, every, weight, *r.sizes)

    def backward(dcost, into):
        dx = device.empty(x.shape, x.dtype)
        launch("cross_entropy_backward", r.work, dcost, x, p, every, weight, dx, *r.sizes)
        return dx, None

    return cost, backward


@op
def _cross_entropy_labels(needs, x, label):
    if x.shape[:-1] != label.shape:
        raise ValueError(f"cross_entropy: logits of shape {x.shape} need labels of shape {x.shape[:-1]}, got {label.shape}")
    r, device = Rows("cross_entropy", x, -1), device_of(x)
    cost, every = r.empty(), r.empty()
    launch("cross_entropy_labels", r.work, x, label, cost, every, *r.sizes)

    def backward(dcost, into):
        dx = device.empty(x.shape, x.dtype)
        launch("cross_entropy_labels_backward", r.work, dcost, x, label, every, dx, *r.sizes)
        return dx, None

    return cost, backward
