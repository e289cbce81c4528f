"""Reconstruction costs: value, gradient, and gradients that are not those of a mean."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import directional_error
from minivae.tensor import Tensor

COSTS = {
    "squared_error": lambda y, x: (y - x) ** 2,
    "bernoulli": lambda y, x: np.logaddexp(0, y) - x * y,
}
SHAPES = [(1, 1), (3, 5), (4, 8), (9, 33), (100, 784), (2, 2000)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cost", COSTS)
def test_value(device, rng, cost, shape, dtype, tolerance):
    """Each row's cost equals its formula."""
    y, x = (3 * rng.standard_normal(shape)).astype(dtype), rng.random(shape).astype(dtype)
    got = getattr(ops, cost)(device.from_host(y), device.from_host(x))
    np.testing.assert_allclose(device.to_host(got.data), COSTS[cost](y.astype(np.float64), x).sum(1), rtol=tolerance)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cost", COSTS)
def test_gradient(device, rng, cost, shape):
    """Finite differences of the mean cost."""
    x = device.from_host(rng.random(shape))
    assert directional_error(lambda y: ops.mean(getattr(ops, cost)(y, x)), [rng.standard_normal(shape)],
                             device=device) < 1e-6


@pytest.mark.parametrize("cost", COSTS)
def test_gradient_that_is_not_a_means(device, rng, cost):
    """The gradient is written for a mean over the rows; used in another way it is mended. Here the costs
    go through a second square, so every row has a weight of its own."""
    x, target = device.from_host(rng.random((6, 7))), device.from_host(rng.random((2, 3)))

    def f(y):
        return ops.mean(ops.squared_error(ops.reshape(getattr(ops, cost)(y, x), shape=(2, 3)), target))

    assert directional_error(f, [rng.standard_normal((6, 7))], device=device) < 1e-6


@pytest.mark.parametrize("y", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_bernoulli_of_extreme_logits(device, y):
    """No overflow: the cost of a certain and right prediction is 0, of a wrong one |y|."""
    logits, x = np.full((1, 2), y, np.float32), np.array([[0.0, 1.0]], np.float32)
    leaf = Tensor(device.from_host(logits), requires_grad=True)
    cost = ops.bernoulli(leaf, device.from_host(x))
    ops.mean(cost).backward()
    np.testing.assert_allclose(cost.item(), abs(y) if y else 2 * np.log(2), rtol=1e-6)
    p = 1 / (1 + np.exp(-np.float64(y))) if y > -700 else 0.0
    np.testing.assert_allclose(device.to_host(leaf.grad), [[p, p - 1]], atol=1e-6)


def test_nan_stays_visible(device):
    y = np.array([[1.0, np.nan], [1.0, 2.0]], np.float32)
    for cost in COSTS:
        got = device.to_host(getattr(ops, cost)(device.from_host(y), device.zeros((2, 2), np.float32)).data)
        assert np.isnan(got[0]) and np.isfinite(got[1])


def test_no_columns_cost_nothing(device):
    for cost in COSTS:
        leaf = Tensor(device.zeros((3, 0), np.float32), requires_grad=True)
        found = getattr(ops, cost)(leaf, device.zeros((3, 0), np.float32))
        np.testing.assert_array_equal(found.numpy(), np.zeros(3, np.float32))
        ops.mean(found).backward()
        assert leaf.grad.shape == (3, 0)


def test_misfits_are_refused(device):
    a, b = device.zeros((2, 3), np.float32), device.zeros((3, 2), np.float32)
    with pytest.raises(ValueError, match=r"squared_error: takes y \(rows, columns\) and x \(rows / n"):
        ops.squared_error(a, b)
    with pytest.raises(ValueError, match="without a gradient"):
        ops.bernoulli(a, Tensor(a, requires_grad=True))


@pytest.mark.parametrize("cost", COSTS)
def test_rows_that_share_an_image(device, rng, cost):
    """Consecutive rows of y may share a row of x: value and gradient are those of x with its rows repeated."""
    for y_shape, repeat in (((12, 7), 3), ((10, 64), 10), ((4, 784), 2)):
        y, x = rng.standard_normal(y_shape), rng.random((y_shape[0] // repeat, y_shape[1]))
        found = []
        for given in (x, np.repeat(x, repeat, 0)):
            leaf = Tensor(device.from_host(y), requires_grad=True)
            costs = getattr(ops, cost)(leaf, device.from_host(given))
            ops.mean(costs).backward()
            found.append((device.to_host(costs.data), device.to_host(leaf.grad)))
        for one, two in zip(*found, strict=True):
            np.testing.assert_array_equal(one, two)
    with pytest.raises(ValueError, match="rows / n"):
        getattr(ops, cost)(device.zeros((5, 3), np.float32), device.zeros((2, 3), np.float32))
