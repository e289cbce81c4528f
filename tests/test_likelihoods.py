"""Likelihoods and what of the cost is minimized: formulas in NumPy, finite differences, refusals."""

import numpy as np
import pytest
from gradients import check_model

from minivae import ops
from minivae.errors import UsageError
from minivae.models import Weights, build
from minivae.models.likelihoods import LEARNED_SIGMA, Gaussian
from minivae.models.vae import kl_of_codes
from minivae.nn import Flat
from minivae.ops.reparameterize import Noise
from minivae.tensor import Tensor


def _small(device, **settings):
    return build("ff", (3, 4, 1), device, hidden=(7, 6), code=5, dtype=np.float64, **settings)


def _batch(device, rng, rows=9):
    return device.from_host(rng.random((rows, 12))), device.from_host(np.arange(rows, dtype=np.int32))


@pytest.mark.parametrize("sigma", [None, 0.05, 0.7])
@pytest.mark.parametrize("shared", [1, 3])
def test_gaussian_is_its_density(device, rng, sigma, shared):
    """-log of the normal density of every pixel, summed; several rows may share an image."""
    x, s = rng.random((6 // shared, 12)), sigma or LEARNED_SIGMA
    y = np.repeat(x, shared, 0) + 3 * s * rng.standard_normal((6, 12))
    cost = Gaussian(sigma, device, np.float64)(Tensor(device.from_host(y)), device.from_host(x))
    density = np.exp(-0.5 * ((np.repeat(x, shared, 0) - y) / s) ** 2) / (s * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(device.to_host(cost.data), -np.log(density).sum(1), rtol=1e-12)


def test_learned_sigma_goes_to_the_root_of_the_mean_squared_error(cpu, rng):
    """The cost is smallest there: its derivative changes its sign."""
    y, x = rng.standard_normal((50, 12)), rng.random((50, 12))
    gaussian, best = Gaussian(None, cpu, np.float64), np.log(np.sqrt(((x - y) ** 2).mean()))
    slopes = []
    for step in (-1e-3, 1e-3):
        gaussian.log_sigma.data[...] = best + step
        gaussian.clear_grad()
        ops.sum(gaussian(Tensor(y), x)).backward()
        slopes.append(float(gaussian.log_sigma.grad[0]))
    assert slopes[0] < 0 < slopes[1]


@pytest.mark.parametrize("settings", [{"likelihood": "gaussian"}, {"likelihood": "gaussian", "sigma": 0.2},
                                      {"likelihood": "bernoulli", "binarize": True}], ids=str)
@pytest.mark.parametrize("weights", [Weights(), Weights(beta=0.25), Weights(beta=2, free_bits=0.9)],
                         ids=["plain", "beta", "free bits"])
def test_gradient_of_the_whole_cost(device, rng, settings, weights):
    """Finite differences in float64 with respect to all parameters, sigma among them."""
    check_model(_small(device, **settings), *_batch(device, rng), rng, step=1e-6, weights=weights)


def test_what_is_minimized_and_what_is_reported(device, rng):
    """beta and free bits change the total alone; at beta 1 and no free bits it is the mean of what is reported."""
    model, (x, example) = _small(device), _batch(device, rng)
    whole, half, free = (model.cost(x, example, Noise(1, 2), w)
                         for w in (Weights(), Weights(beta=0.5), Weights(beta=0.5, free_bits=0.91)))
    reconstruction, kl = (device.to_host(part) for part in whole[1:])
    np.testing.assert_allclose(whole.total.item(), (reconstruction + kl).mean(), rtol=1e-13)
    np.testing.assert_allclose(half.total.item(), (reconstruction + 0.5 * kl).mean(), rtol=1e-13)
    every = device.to_host(kl_of_codes(model.encode(x)).data)
    np.testing.assert_allclose(every.sum(1), kl, rtol=1e-12)
    reached = np.maximum(every.mean(0), 0.91)
    assert (every.mean(0) < 0.91).any() and (every.mean(0) > 0.91).any()
    np.testing.assert_allclose(free.total.item(), reconstruction.mean() + 0.5 * reached.sum(), rtol=1e-13)
    for other in (half, free):
        for one, two in zip(whole[1:], other[1:], strict=True):
            np.testing.assert_array_equal(device.to_host(one), device.to_host(two))


def test_learned_sigma_is_trained_and_saved(device):
    """It is a parameter like any other."""
    model = _small(device, likelihood="gaussian")
    assert "likelihood.log_sigma" in model.state_dict()
    assert Flat(model, device, np.float64).count == Flat(_small(device), device, np.float64).count + 1


@pytest.mark.parametrize(("settings", "words"), [
    ({"likelihood": "bernoulli", "sigma": 1.0}, "--sigma belongs to --likelihood gaussian, not bernoulli"),
    ({"binarize": True}, "--binarize draws black and white pixels, which --likelihood squared-error does not describe"),
    ({"likelihood": "gaussian", "sigma": 0.0}, "--sigma is 0, but must be a positive number"),
    ({"likelihood": "gaussian", "sigma": float("nan")}, "--sigma is nan")])
def test_settings_that_do_not_go_together(cpu, settings, words):
    with pytest.raises(UsageError, match=words):
        _small(cpu, **settings)
