"""The likelihood of models with several proposals, such as those with classes: against mixtures whose likelihood is known, and
against integrals."""

import numpy as np
import pytest
from known_likelihoods import LinearGaussian, Mixture, random_images

from minivae.evaluation import evaluate, importance
from minivae.models import build
from minivae.ops.batch import DeviceImages
from minivae.ops.importance import log_mean
from minivae.ops.reparameterize import Noise

# ---- several proposals ----

def test_several_proposals_are_averaged(rng):
    """States of several proposals against all their weights: the mean, and the effective number of a stratified mean; weights
    that are all zero in one, or in all, count as that."""
    w = 3 * rng.standard_normal((5, 3, 50)) + [[0], [-4], [2]]
    w[3, 1], w[4] = -np.inf, -np.inf
    top = w.max(2, keepdims=True)
    e, v = np.exp(w - np.where(np.isfinite(top), top, 0)), np.exp(w[:4])
    state = np.stack([top[..., 0], e.sum(2), np.zeros((5, 3)), (e**2).sum(2)], 2)
    found, effective = log_mean(state, 50)
    np.testing.assert_allclose(found[:4], np.log(v.mean((1, 2))), rtol=1e-12)
    variance = v.var(2).sum(1) / 9 / 50
    np.testing.assert_allclose(effective[:4], 1 / (1 / 50 + variance / v.mean((1, 2))**2), rtol=1e-10)
    assert found[4] == -np.inf


def test_true_posteriors_give_the_exact_likelihood_of_a_mixture(device, rng):
    """With q(z | x, y) = p(z | x, y) for every class a single sample of each is enough."""
    model = Mixture(*(LinearGaussian(device, np.linalg.qr(rng.standard_normal((9, 4)))[0] * scale, 0.4, offset=offset)
                      for scale, offset in (([0.5, 0.3, 1.0, 0.1], 0), ([0.2, 0.9, 0.4, 0.7], 0.1), ([1.0, 1.0, 0.1, 0.1], -0.2))))
    images, x = random_images(device, rng, 6, 9)
    for samples in (1, 3):
        found = importance.estimate(model, images, samples, seed=5)
        np.testing.assert_allclose(-found.nll, model.log_p(x), rtol=1e-12)
        np.testing.assert_allclose(found.effective, samples, rtol=1e-9)


def _rough_mixture(device, rng):
    return Mixture(*(LinearGaussian(device, 0.3 * rng.standard_normal((9, 3)), 0.4, spread=1.3, offset=offset)
                     for offset in (0, 0.1, -0.1)))


def test_the_estimate_of_a_mixture_meets_the_exact_likelihood(fast_device, rng):
    """With other proposals: within its own standard error, which the effective samples give, image by image."""
    model = _rough_mixture(fast_device, rng)
    images, x = random_images(fast_device, rng, 40, 9)
    found = importance.estimate(model, images, 10_000, seed=5)
    off = (-found.nll - model.log_p(x)) / np.sqrt(1 / found.effective - 1 / 10_000)
    assert np.abs(off).max() < 4.5 and 0.5 < off.std() < 2 and np.abs(off.mean()) < 4.5 / np.sqrt(len(off))


def test_the_estimate_of_a_mixture_is_unbiased(cpu, rng):
    """p(x) from two samples of each class, averaged over 4,000 such draws, is p(x); its logarithm is below it, the more the
    fewer samples there are."""
    model, means, logs = _rough_mixture(cpu, rng), [], []
    images, x = random_images(cpu, rng, 4, 9)
    many = DeviceImages(np.repeat(np.rint(x * 255).astype(np.uint8), 4000, 0).reshape(-1, 9, 1, 1), cpu, np.float64)
    for samples in (1, 2, 8):
        log_p = -importance.estimate(model, many, samples, seed=3).nll.reshape(4, 4000)
        ratio = np.exp(log_p - model.log_p(x)[:, np.newaxis])
        means.append((ratio.mean(1) - 1) / (ratio.std(1) / np.sqrt(4000)))
        logs.append(log_p.mean(1))
    assert np.abs(means).max() < 4
    assert (np.diff(logs, axis=0) > 0).all() and (logs[-1] < model.log_p(x)).all()


# ---- models with classes ----

def _model(device, semi, dtype=np.float32, code=5, **settings):
    """A model with classes and statistics, and random images of its shape."""
    model = build("ff", (4, 3, 1), device, hidden=(7, 6), code=code, classes=3, semi=semi, dtype=dtype, **settings)
    numbers = np.random.default_rng(1).integers(0, 256, (12, 4, 3, 1), np.uint8)
    images = DeviceImages(numbers, device, dtype, binarize=model.likelihood.discrete)
    evaluate.fix_statistics(model, images)
    return model, images


BINARIZED = {"likelihood": "bernoulli", "binarize": True}


@pytest.mark.parametrize("semi", ["shared", "m2"])
@pytest.mark.parametrize("settings", [BINARIZED, {"likelihood": "gaussian", "sigma": 0.6}],
                         ids=str)
def test_models_with_classes_against_an_integral(device, semi, settings):
    """With one number in the code log p(x) = log 1/C sum_y int N(z; 0, 1) p(x | z, y) dz is an integral over a line, which a
    fine grid gives; the estimate agrees within its standard error."""
    model, images = _model(device, semi, np.float64, code=1, **settings)
    model.heads.norm.gamma.data[...] = device.from_host(np.array([0.5, 0.1]))       # untrained: wide enough for any posterior
    model.heads.norm.beta.data[...] = device.from_host(np.array([0.0, 1.2]))
    model.decoder[-1].norm.gamma.data[...] = 0.4
    z = np.linspace(-9, 9, 1001)
    prior = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    x, _ = images.batch(0, 12, Noise(4, 0, evaluate.EVALUATE))
    expected = np.zeros((3, 12))
    for y in range(3):
        decoded = model.decode(device.from_host(z[:, np.newaxis]), model.one_hot(np.full(len(z), y)))
        for image in range(12):
            cost = device.to_host(model.likelihood(decoded, x[image:image + 1].copy()).data)
            expected[y, image] = np.log((np.exp(40 - cost) * prior).sum()) - 40
    expected = np.logaddexp.reduce(expected) - np.log(3)
    found = importance.estimate(model, images, 512, seed=4)
    error = np.sqrt(1 / found.effective - 1 / 512)
    assert (np.abs(-found.nll - expected) < 4.5 * error + 1e-9).all() and np.median(error) < 0.2


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_the_bound_of_models_with_classes_rises_with_the_samples(cpu, semi):
    """Means over disjoint groups of 1, 4, 16, 64 of the same 64 samples."""
    model, images = _model(cpu, semi, np.float64, **BINARIZED)
    bounds = [np.mean([-importance.estimate(model, images, size, first=first).nll for first in range(0, 64, size)], 0)
              for size in (1, 4, 16, 64)]
    assert (np.diff(bounds, axis=0) > 0).all()


@pytest.mark.parametrize("semi", ["shared", "m2"])
def test_models_with_classes_in_pieces(cpu, simt, semi):
    """Any number of codes at a time gives the same bits on a CPU, and devices agree; what is told of progress adds up to
    `draws` codes for every sample."""
    told = []
    model, images = _model(cpu, semi, **BINARIZED)
    one = importance.estimate(model, images, 300, limit=3, progress=told.append)
    assert sum(told) == 3 * 300 * model.draws
    other = importance.estimate(model, images, 300, limit=3, rows=256)
    np.testing.assert_array_equal(one.nll, other.nll)
    found = importance.estimate(*_model(simt, semi, **BINARIZED), 300, limit=3)
    np.testing.assert_allclose(found.nll, one.nll, rtol=2e-5)
    np.testing.assert_allclose(found.effective, one.effective, rtol=1e-3)
