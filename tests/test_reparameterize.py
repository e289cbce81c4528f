"""The sampling step: z and KL, their gradients, the noise drawn twice."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import directional_error
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.tensor import Tensor

NOISE = Noise(seed=9, step=3)
SHAPES = [(1, 1), (3, 2), (5, 3), (4, 4), (7, 32), (6, 33), (10, 384), (2, 1031)]


def _example(device, rows, first=0):
    return device.from_host(np.arange(first, first + rows, dtype=np.int32))


def reference(heads, eps):
    heads = heads.astype(np.float64)
    mu, rho = np.split(heads, 2, 1)
    sigma = np.logaddexp(0, rho)
    return mu + sigma * eps, -0.5 * (1 + 2 * np.log(sigma) - mu**2 - sigma**2).sum(1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_value(device, rng, shape, dtype, tolerance):
    """z and KL equal their formulas, with the noise that standard_normal gives for the same key."""
    rows, codes = shape
    heads = (2 * rng.standard_normal((rows, 2 * codes))).astype(dtype)
    eps = device.to_host(standard_normal(device, rows, codes, NOISE, dtype, first=50)).astype(np.float64)
    z, kl = ops.reparameterize(device.from_host(heads), example=_example(device, rows, 50), noise=NOISE)
    expected = reference(heads, eps)
    np.testing.assert_allclose(device.to_host(z.data), expected[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(device.to_host(kl.data), expected[1], rtol=tolerance, atol=tolerance * codes)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_of_both_outputs(device, rng, shape):
    """Finite differences through z and KL together: the backward pass draws the same noise again."""
    rows, codes = shape
    target, example = device.from_host(rng.standard_normal((rows, codes))), _example(device, rows)

    def f(heads):
        z, kl = ops.reparameterize(heads, example=example, noise=NOISE)
        return ops.mean(ops.add(kl, ops.squared_error(z, target)))

    assert directional_error(f, [rng.standard_normal((rows, 2 * codes))], device=device) < 1e-6


def test_gradient_of_one_output_alone(device, rng):
    """With only z, or only KL, in the cost the other output's gradient counts as zero."""
    target, example = device.from_host(rng.standard_normal((6, 5))), _example(device, 6)

    def only_z(heads):
        return ops.mean(ops.squared_error(ops.reparameterize(heads, example=example, noise=NOISE)[0], target))

    def only_kl(heads):
        return ops.mean(ops.reparameterize(heads, example=example, noise=NOISE)[1])

    for f in (only_z, only_kl):
        assert directional_error(f, [rng.standard_normal((6, 10))], device=device) < 1e-6


def test_noise_belongs_to_the_example(device, rng):
    """A batch in another order gives each example the same z: noise is not keyed by the row."""
    heads = rng.standard_normal((8, 12)).astype(np.float32)
    order = rng.permutation(8).astype(np.int32)
    z = device.to_host(ops.reparameterize(device.from_host(heads), example=_example(device, 8), noise=NOISE)[0].data)
    shuffled, _ = ops.reparameterize(device.from_host(heads[order]), example=device.from_host(order), noise=NOISE)
    np.testing.assert_array_equal(device.to_host(shuffled.data), z[order])


@pytest.mark.parametrize("rho", [-200.0, -100.0, -88.0, -20.0, -15.0, 0.0, 50.0, 1e4])
def test_extreme_sigma(device, rho):
    """sigma from 1e-87 to 1e4: KL and gradients stay finite in float32 and near their exact values."""
    heads = np.array([[0.5, rho]], np.float32)
    leaf = Tensor(device.from_host(heads), requires_grad=True)
    _, kl = ops.reparameterize(leaf, example=_example(device, 1), noise=NOISE)
    ops.mean(kl).backward()
    sigma = np.logaddexp(0, np.float64(rho))
    log_sigma = rho if rho < -30 else np.log(sigma)
    np.testing.assert_allclose(kl.item(), -0.5 * (1 + 2 * log_sigma - 0.25 - sigma**2), rtol=1e-5)
    slope = 1 / (1 + np.exp(-rho))
    ratio = 1.0 if rho < -30 else slope / sigma
    np.testing.assert_allclose(device.to_host(leaf.grad)[0], [0.5, sigma * slope - ratio], rtol=1e-5)


def test_odd_columns_are_refused(device):
    with pytest.raises(ValueError, match="even number of columns, not 3"):
        ops.reparameterize(device.zeros((2, 3), np.float32), example=_example(device, 2), noise=NOISE)
