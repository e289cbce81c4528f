"""The convolutional VAE as a whole."""

import numpy as np
import pytest
from gradients import check_model

from minivae.errors import UsageError
from minivae.evaluation import fixed_point
from minivae.models import build
from minivae.nn import Flat, batch_norms
from minivae.ops.reparameterize import Noise


def _small(device, shape=(8, 4, 1), dtype=np.float64, likelihood="squared-error"):
    return build("conv", shape, device, channels=(3, 5), hidden=(7,), code=4, likelihood=likelihood, dtype=dtype)


def _batch(device, rng, model, rows=6):
    x = rng.random((rows, model.pixels)).astype(model.dtype)
    return device.from_host(x), device.from_host(np.arange(rows, dtype=np.int32))


def test_sizes(cpu):
    """conv 64, pool, conv 128, pool, dense 512, heads 2 x 512, and back: as the model is described."""
    model = build("conv", (28, 28, 1), cpu)
    products = [9 * 64, 9 * 64 * 128, 6272 * 512, 512 * 1024, 512 * 6272, 9 * 128 * 64, 9 * 64]
    assert Flat(model, cpu).count == sum(products) + 2 * (64 + 128 + 512 + 1024 + 6272 + 64 + 1)
    activations = [bn.activation for _, bn in batch_norms(model)]
    assert sorted(activations) == sorted(["relu", "relu", "tanh", "identity", "relu", "relu", "hard_tanh"])


@pytest.mark.parametrize("shape", [(8, 4, 1), (4, 8, 3)], ids=str)
@pytest.mark.parametrize("likelihood", ["squared-error", "bernoulli"])
def test_gradient_of_the_whole_cost(device, rng, shape, likelihood):
    """Finite differences in float64 with respect to all parameters at once, and to each alone."""
    model = _small(device, shape, likelihood=likelihood)
    check_model(model, *_batch(device, rng, model), rng, step=1e-7)


def test_same_bits_for_any_number_of_threads(cpu, threads, rng):
    model = build("conv", (28, 28, 1), cpu, channels=(16, 32), hidden=(64,), code=32)
    flat, (x, example), results = Flat(model, cpu), _batch(cpu, rng, model, 40), []
    for count in (1, 2, 3):
        threads(count)
        flat.clear_grad()
        model.cost(x, example, Noise(1, 1)).total.backward()
        results.append(cpu.to_host(flat.grads))
    for grads in results[1:]:
        np.testing.assert_array_equal(grads, results[0])


def test_samples_and_reconstructions_are_images(device, rng):
    model = _small(device, (8, 4, 3), np.float32)
    x, example = _batch(device, rng, model)
    fixed_point.compute(model, lambda: [model.cost(x, example, Noise(1, 1))])
    for images, count in ((model.sample(5, Noise(0, 0, 2)), 5), (model.reconstruct(x), 6)):
        assert images.shape == (count, 8, 4, 3) and images.min() >= 0 and images.max() <= 1


@pytest.mark.parametrize(("shape", "settings", "words"), [
    ((28, 30, 1), {}, "28 x 30 can be halved 1 times only: take at most 1 --channels$"),
    ((3, 28, 1), {}, "halved 0 times only: take --arch ff"), ((28, 28, 1), {"channels": ()}, "--channels is empty"),
    ((28, 28, 1), {"channels": (0, 3)}, "--channels is 0,3"), ((28, 28, 1), {"hidden": ()}, "--hidden is empty"),
    ((28, 28, 1), {"code": 0}, "--code is 0")])
def test_impossible_sizes_are_named(cpu, shape, settings, words):
    with pytest.raises(UsageError, match=words):
        build("conv", shape, cpu, **settings)
