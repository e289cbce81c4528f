"""Batch norm with its activation: value, gradient, statistics."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import directional_error
from minivae.ops.batch_norm import ACTIVATIONS, EPSILON, merge_moments
from minivae.tensor import Tensor

SHAPES = [(1, 1), (2, 3), (7, 1), (5, 4), (64, 32), (100, 33), (129, 31), (333, 5), (1000, 48), (3000, 7), (70, 784), (2500, 36)]
FUNCTIONS = {
    "identity": lambda u: u,
    "relu": lambda u: np.maximum(u, 0),
    "tanh": np.tanh,
    "hard_tanh": lambda u: np.clip(u, -1, 1),
    "softplus": lambda u: np.logaddexp(0, u),
    "sigmoid": lambda u: 1 / (1 + np.exp(-u)),
}
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-11}     # a few hundred roundings of values of order 1


def reference(x, gamma, beta, activation, moments=None):
    x = x.astype(np.float64)
    mean, variance = (x.mean(0), x.var(0)) if moments is None else moments
    return FUNCTIONS[activation](gamma * (x - mean) / np.sqrt(variance + EPSILON) + beta)


def _inputs(rng, rows, cols, dtype):
    return [rng.standard_normal(s).astype(dtype) for s in ((rows, cols), cols, cols)]


def test_every_activation_has_a_reference():
    assert set(FUNCTIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value(device, rng, shape, activation, dtype):
    """The kernel equals the formula, for shapes that leave every kind of remainder."""
    x, gamma, beta = _inputs(rng, *shape, dtype)
    y = ops.batch_norm(*map(device.from_host, (x, gamma, beta)), activation=activation)
    np.testing.assert_allclose(device.to_host(y.data), reference(x, gamma, beta, activation), rtol=TOLERANCE[dtype],
                               atol=TOLERANCE[dtype] * (300 if shape[0] <= 2 else 3))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(2, 3), (5, 4), (100, 33), (333, 5), (70, 100)], ids=str)
def test_gradient(device, rng, shape, activation):
    """Finite differences in float64 with respect to x, gamma and beta."""
    inputs = _inputs(rng, *shape, np.float64)
    target = rng.standard_normal(shape)

    def f(x, gamma, beta):
        return ops.mean(ops.squared_error(ops.batch_norm(x, gamma, beta, activation=activation), device.from_host(target)))

    assert directional_error(f, inputs, device=device) < 1e-6


@pytest.mark.parametrize("activation", ["identity", "relu", "softplus"])
def test_gradient_with_fixed_moments(device, rng, activation):
    """With given moments none of the gradient goes through them."""
    inputs = _inputs(rng, 20, 9, np.float64)
    moments = np.stack([rng.standard_normal(9), rng.uniform(0.5, 2, 9)])
    fixed, target = device.from_host(moments), device.from_host(rng.standard_normal((20, 9)))

    def f(x, gamma, beta):
        return ops.mean(ops.squared_error(ops.batch_norm(x, gamma, beta, activation=activation, fixed=fixed), target))

    assert directional_error(f, inputs, device=device) < 1e-6
    y = ops.batch_norm(*map(device.from_host, inputs), activation=activation, fixed=fixed)
    np.testing.assert_allclose(device.to_host(y.data), reference(*inputs, activation, moments), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", [(1000, 33), (20_000, 3), (100_352, 64)], ids=str)
def test_statistics_far_from_zero(device, rng, shape):
    """Mean 1e4 and deviation 1 in float32: the variance is right to the data's own rounding, where
    E[x^2] - E[x]^2 in float32 has no correct digit."""
    x = (1e4 + rng.standard_normal(shape)).astype(np.float32)
    running = device.zeros((2, shape[1]), np.float32)
    merge_moments(running, 0, device.from_host(x))
    mean, variance = device.to_host(running).astype(np.float64)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=2.5e-7)       # two roundings of a float32 near 1e4
    np.testing.assert_allclose(variance, exact.var(0), rtol=2e-5)


def test_statistics_after_a_wild_first_row(device, rng):
    """A first row that is far from all others does not spoil the variance of the rest."""
    x = rng.standard_normal((5000, 10)).astype(np.float32)
    x[0] = 1e3
    running = device.zeros((2, 10), np.float32)
    merge_moments(running, 0, device.from_host(x))
    np.testing.assert_allclose(device.to_host(running)[1], x.astype(np.float64).var(0), rtol=1e-4)


def test_merging_batches_is_one_large_batch(device, rng):
    """Moments gathered over uneven batches equal those of all rows at once."""
    x = (3 + rng.standard_normal((1000, 37)) * rng.uniform(0.1, 10, 37)).astype(np.float32)
    running, seen = device.zeros((2, 37), np.float32), 0
    for part in np.split(x, [1, 18, 400, 999]):
        merge_moments(running, seen, device.from_host(part))
        seen += len(part)
    got, exact = device.to_host(running), x.astype(np.float64)
    np.testing.assert_allclose(got[0], exact.mean(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(got[1], exact.var(0), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_stays_visible(device, rng, bad):
    """One NaN or infinity makes its whole column NaN and no other."""
    x, gamma, beta = _inputs(rng, 50, 40, np.float32)
    x[13, 7] = bad
    y = device.to_host(ops.batch_norm(*map(device.from_host, (x, gamma, beta)), activation="relu").data)
    assert np.isnan(y[:, 7]).all()
    assert np.isfinite(np.delete(y, 7, 1)).all()


def test_constant_column(device):
    """A column without variance gives beta, and finite gradients."""
    x, gamma, beta = np.full((10, 3), 5.0, np.float32), np.ones(3, np.float32), np.arange(3, dtype=np.float32)
    leaves = [Tensor(device.from_host(a), requires_grad=True) for a in (x, gamma, beta)]
    y = ops.batch_norm(*leaves)
    ops.mean(ops.squared_error(y, device.zeros((10, 3), np.float32))).backward()
    np.testing.assert_allclose(device.to_host(y.data), np.broadcast_to(beta, (10, 3)), atol=1e-6)
    assert all(np.isfinite(device.to_host(t.grad)).all() for t in leaves)


@pytest.mark.parametrize(("x", "gamma", "words"), [((0, 3), (3,), "at least one row"), ((4, 3), (2,), "shape"),
                                                   ((4,), (4,), "rows, channels")])
def test_wrong_shapes_are_named(device, x, gamma, words):
    with pytest.raises(ValueError, match=words):
        ops.batch_norm(device.zeros(x, np.float32), device.zeros(gamma, np.float32), device.zeros(gamma, np.float32))


def test_unknown_activation_is_named(device):
    with pytest.raises(ValueError, match="unknown activation 'swish'; there are identity, relu"):
        ops.batch_norm(*(device.zeros(s, np.float32) for s in ((4, 3), (3,), (3,))), activation="swish")
