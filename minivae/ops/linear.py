"""Dense products; the device's matrix product is the kernel."""

from __future__ import annotations

from minivae.device import device_of
from minivae.tensor import op


@op(flops=lambda x, w: 2 * len(x) * w.size)
def linear(needs, x, w):
    """y = x w, without a bias: a batch norm follows every product here and would cancel it.

    Args:
        x: (rows, inputs).
        w: (inputs, outputs), of the same dtype.

    Returns:
        y: (rows, outputs).

    Raises:
        ValueError: shapes or dtypes that do not fit.
    """
    matmul = device_of(x).matmul

    def backward(dy, into):
        return (matmul(dy, w.T, out=into[0]) if needs[0] else None,
                matmul(x.T, dy, out=into[1]) if needs[1] else None)

    return matmul(x, w), backward
