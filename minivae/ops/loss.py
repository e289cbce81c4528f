"""Reconstruction costs, each summed over the row: value and gradient in one pass (kernels/loss.cu).

Where nobody needs a gradient the value alone is computed, in less than half of the time.
"""

from __future__ import annotations

from minivae.device import device_of
from minivae.kernels import launch
from minivae.ops.arithmetic import weight_of_mean
from minivae.tape import lend
from minivae.tensor import op
from minivae.work import rows


@op
def squared_error(needs, y, x):
    """sum over the columns of (y - x)^2.

    Args:
        y: (rows, columns), the reconstruction.
        x: (rows / n, columns), the data: n consecutive rows of y share one of its rows; no gradient goes there.

    Returns:
        cost: (rows,).

    Raises:
        ValueError: the shapes do not fit, or x needs a gradient.
    """
    return _row_cost("squared_error", needs, y, x)


@op
def bernoulli(needs, y, x):
    """Negative log-likelihood -sum(x log p + (1 - x) log(1 - p)) with p = sigmoid(y), in nats.

    Args:
        y: (rows, columns), logits.
        x: (rows / n, columns), data in [0, 1]: n consecutive rows of y share one of its rows; no gradient goes there.

    Returns:
        cost: (rows,).

    Raises:
        ValueError: the shapes do not fit, or x needs a gradient.
    """
    return _row_cost("bernoulli", needs, y, x)


def _row_cost(kernel: str, needs, y, x):
    if y.ndim != 2 or x.ndim != 2 or y.shape[1] != x.shape[1] or y.shape[0] % max(len(x), 1) or needs[1]:
        raise ValueError(f"{kernel}: takes y (rows, columns) and x (rows / n, columns), x without a gradient; got {y.shape} "
                         f"and {x.shape}")
    (count, width), device = y.shape, device_of(y)
    work, repeat = rows(count if width else 0, width), count // max(len(x), 1)
    cost = (device.empty if width else device.zeros)((count,), y.dtype)
    if not needs[0]:
        launch(f"{kernel}_value", work, y, x, cost, count, width, repeat)
        return cost, None
    dy = device.empty(y.shape, y.dtype)
    # Written for the gradient that a mean over the rows sends back; any other is mended in the backward pass.
    expected = weight_of_mean(max(count, 1), y.dtype)
    launch(kernel, work, y, x, cost, dy, count, width, repeat, expected)

    def backward(dcost, into):
        given = lend(dy)
        launch("rescale_rows", work, given, dcost, count, width, expected)
        return given, None

    return cost, backward
