"""The feed-forward VAE as a whole."""

import numpy as np
import pytest
from gradients import check_model

from minivae.check import directional_error
from minivae.errors import UsageError
from minivae.evaluation import fixed_point
from minivae.models import build
from minivae.models.likelihoods import SquaredError
from minivae.nn import Flat
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.tensor import Tensor


def _small(device, dtype=np.float64, likelihood="squared-error", seed=0):
    return build("ff", (4, 5, 1), device, hidden=(11, 9, 7), code=6, likelihood=likelihood, seed=seed, dtype=dtype)


def _batch(device, rng, rows=13, pixels=20, dtype=np.float64):
    return device.from_host(rng.random((rows, pixels)).astype(dtype)), device.from_host(np.arange(rows, dtype=np.int32))


def test_sizes(device):
    """784 - 512 - 512 - 256 - (384, 384) - 256 - 512 - 512 - 784, a gamma and a beta for each of 4,112 units."""
    model = build("ff", (28, 28, 1), device)
    products = [784 * 512, 512 * 512, 512 * 256, 256 * 768, 384 * 256, 256 * 512, 512 * 512, 512 * 784]
    assert Flat(model, device).count == sum(products) + 2 * (512 + 512 + 256 + 768 + 256 + 512 + 512 + 784)
    activations = [layer.norm.activation for layer in (*model.encoder, model.heads, *model.decoder)]
    assert activations == ["relu", "relu", "tanh", "identity", "relu", "relu", "relu", "hard_tanh"]


def reference_cost(model, device, x, eps):
    """The whole model in NumPy."""
    functions = {"relu": lambda u: np.maximum(u, 0), "tanh": np.tanh, "identity": lambda u: u,
                 "hard_tanh": lambda u: np.clip(u, -1, 1)}

    def layer(dense, h):
        u = h @ device.to_host(dense.weight.data)
        u = (u - u.mean(0)) / np.sqrt(u.var(0) + 1e-5)
        return functions[dense.norm.activation](
            u * device.to_host(dense.norm.gamma.data) + device.to_host(dense.norm.beta.data))

    h = x
    for dense in (*model.encoder, model.heads):
        h = layer(dense, h)
    mu, sigma = h[:, :model.code], np.logaddexp(0, h[:, model.code:])
    y = mu + sigma * eps
    for dense in model.decoder:
        y = layer(dense, y)
    nll = ((x - y) ** 2 if isinstance(model.likelihood, SquaredError) else np.logaddexp(0, y) - x * y).sum(1)
    return nll, -0.5 * (1 + 2 * np.log(sigma) - mu**2 - sigma**2).sum(1)


@pytest.mark.parametrize("likelihood", ["squared-error", "bernoulli"])
def test_cost_is_the_formula(device, rng, likelihood):
    """Reconstruction, KL and their mean equal the same model written in NumPy, with the same noise."""
    model, noise = _small(device, likelihood=likelihood), Noise(4, 2)
    x, example = _batch(device, rng)
    nll, kl = reference_cost(model, device, device.to_host(x), device.to_host(standard_normal(
        device, 13, model.code, noise, np.float64)))
    cost = model.cost(x, example, noise)
    np.testing.assert_allclose(device.to_host(cost.reconstruction), nll, rtol=1e-9)
    np.testing.assert_allclose(device.to_host(cost.kl), kl, rtol=1e-9)
    assert cost.total.item() == pytest.approx((nll + kl).mean(), rel=1e-12)


@pytest.mark.parametrize("likelihood", ["squared-error", "bernoulli"])
def test_gradient_of_the_whole_cost(device, rng, likelihood):
    """Finite differences in float64 with respect to all parameters at once, and to each alone."""
    model = _small(device, likelihood=likelihood)
    check_model(model, *_batch(device, rng), rng, step=1e-6)


def test_gradient_with_fixed_statistics(device, rng):
    """In evaluation the cost has its gradient as well."""
    model = _small(device)
    x, example = _batch(device, rng, rows=17)       # with 13 rows a unit lies 6e-7 beside a kink of ReLU
    fixed_point.compute(model, lambda: [model.cost(x, example, Noise(1, 1))])
    layer = model.encoder[0]

    def f(weight):
        layer.weight = weight
        return model.cost(x, example, Noise(1, 1)).total

    assert directional_error(f, [device.to_host(layer.weight.data)], device=device) < 1e-6


def test_no_gradient_is_computed_for_the_images(device, rng):
    model = _small(device)
    x, example = _batch(device, rng)
    image = Tensor(x)
    model.cost(image.data, example, Noise(1, 1)).total.backward()
    assert image.grad is None
    assert all(p.grad is not None for p in model.parameters())


def test_same_bits_for_any_number_of_threads(cpu, threads, rng):
    """Cost and all gradients at full size and batch 300: bit for bit the same for 1, 2 and 3 threads."""
    x, example = _batch(cpu, rng, 300, 784, np.float32)
    model = build("ff", (28, 28, 1), cpu)
    flat, results = Flat(model, cpu), []
    for count in (1, 2, 3):
        threads(count)
        flat.clear_grad()
        cost = model.cost(x, example, Noise(1, 1)).total
        cost.backward()
        results.append((cost.item(), cpu.to_host(flat.grads)))
    for cost, grads in results[1:]:
        assert cost == results[0][0]
        np.testing.assert_array_equal(grads, results[0][1])


def test_samples_and_reconstructions_are_images(device, rng):
    for likelihood in ("squared-error", "bernoulli"):
        model = _small(device, np.float32, likelihood)
        x, example = _batch(device, rng, dtype=np.float32)
        fixed_point.compute(model, lambda model=model, x=x: [model.cost(x, example, Noise(1, 1))])
        for images, count in ((model.sample(9, Noise(0, 0, 2)), 9), (model.reconstruct(x), 13)):
            assert images.shape == (count, 4, 5, 1) and images.dtype == np.float32
            assert images.min() >= 0 and images.max() <= 1
        np.testing.assert_array_equal(model.sample(9, Noise(0, 0, 2)), model.sample(9, Noise(0, 0, 2)))


@pytest.mark.parametrize(("settings", "words"), [({"code": 0}, "--code is 0"), ({"hidden": ()}, "--hidden is empty"),
                                                 ({"hidden": (5, 0)}, "--hidden is 5,0"),
                                                 ({"likelihood": "poisson"}, "unknown likelihood 'poisson'")])
def test_impossible_sizes_are_named(device, settings, words):
    with pytest.raises(UsageError, match=words):
        build("ff", (4, 4, 1), device, **settings)
