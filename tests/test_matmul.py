"""Products by NumPy's rules."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.tensor import Tensor
from minivae.trace import recording

SHAPES = [((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 3)), ((3, 4), (4, 5)), ((2, 3, 4), (4, 5)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (4,)),
          ((4,), (2, 4, 3)), ((2, 1, 3, 4), (5, 4, 6)), ((2, 3, 4), (2, 4, 1)), ((3, 0), (0, 2)), ((0, 4), (4, 2))]


@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_values_and_gradients(device, rng, a, b):
    x, y = rng.standard_normal(a), rng.standard_normal(b)
    for dtype, tolerance in ((np.float32, 2e-6), (np.float64, 1e-13)):
        z = ops.matmul(*(Tensor(device.from_host(v.astype(dtype))) for v in (x, y)))
        assert z.dtype == dtype and z.shape == (x @ y).shape
        np.testing.assert_allclose(z.numpy(), x @ y, tolerance, tolerance)
    if x.size and y.size:
        report = check_grad(ops.matmul, [x, y], device=device)
        assert report, report


def test_flops_are_those_of_the_definition(cpu, rng):
    with recording() as trace:
        ops.matmul(rng.standard_normal((2, 1, 3, 4)), rng.standard_normal((5, 4, 6)))
    assert trace.flops == 2 * 2 * 5 * 3 * 4 * 6


def test_misfits_are_named(device):
    x = Tensor(device.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"matmul: cannot multiply \(2, 3\) by \(2, 3\)"):
        x @ x
    with pytest.raises(ValueError, match="matmul: the batches of"):
        Tensor(device.zeros((2, 2, 3), np.float32)) @ Tensor(device.zeros((3, 3, 3), np.float32))
