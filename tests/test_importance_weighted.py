"""The importance-weighted bound: its formula, its gradient, its order between ELBO and likelihood."""

import numpy as np
import pytest
from gradients import check_model

from minivae.models import Weights, build, importance_weighted
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.tensor import Tensor


def _small(device, arch="ff", **settings):
    sizes = {"ff": {"hidden": (7, 6)}, "conv": {"hidden": (6,), "channels": (3,)}}[arch]
    return build(arch, (4, 4, 1), device, code=5, dtype=np.float64, **sizes, **settings)


def _batch(device, rng, rows=9):
    return device.from_host(rng.random((rows, 16))), device.from_host(np.arange(rows, dtype=np.int32))


@pytest.mark.parametrize("likelihood", ["squared-error", "gaussian", "bernoulli"])
@pytest.mark.parametrize("arch", ["ff", "conv"])
def test_gradient_of_the_whole_cost(device, rng, arch, likelihood):
    """Finite differences in float64 with respect to all parameters at once, and to each alone."""
    check_model(_small(device, arch, likelihood=likelihood), *_batch(device, rng), rng, step=1e-7, weights=Weights(samples=3))


def test_ratio_is_that_of_the_densities(device, rng):
    """log N(z; 0, 1) - log N(z; mu, sigma^2), with the noise that the codes were drawn with."""
    rows, code, samples, noise = 4, 5, 3, Noise(2, 7)
    heads, example = rng.standard_normal((rows, 2 * code)), np.array([3, 0, 9, 1], np.int32)
    drawn = importance_weighted.draw(Tensor(device.from_host(heads)), device.from_host(example), samples, noise)
    every = device.to_host(standard_normal(device, 30, code, noise, np.float64))
    eps = np.stack([every[e * samples + k] for e in example for k in range(samples)])
    mu, sigma = (np.repeat(part, samples, 0) for part in (heads[:, :code], np.logaddexp(0, heads[:, code:])))
    z = device.to_host(drawn.z.data)
    np.testing.assert_allclose(z, mu + sigma * eps, rtol=1e-12)
    ratio = (-0.5 * z**2 + 0.5 * ((z - mu) / sigma) ** 2 + np.log(sigma)).sum(1)
    np.testing.assert_allclose(device.to_host(drawn.ratio.data), ratio, rtol=1e-12)


def test_bound_is_its_formula(device, rng):
    """Also where the weights under- or overflow on their own."""
    for offset in (0.0, 1e4, -1e4):
        reconstruction, ratio = 3 * rng.standard_normal(12) + offset, rng.standard_normal(12)
        got = importance_weighted.bound(*(Tensor(device.from_host(a)) for a in (reconstruction, ratio)), 4).item()
        weights = (ratio - reconstruction + offset).reshape(3, 4)
        assert got == pytest.approx(offset - np.log(np.exp(weights).mean(1)).mean(), rel=1e-12)


def test_more_samples_are_a_tighter_bound(cpu, rng):
    """Over many draws 10 samples cost less than 2, and 2 less than the negative ELBO, by more than five standard errors;
    what is reported beside the bound stays the ELBO's two parts."""
    model, (x, example) = _small(cpu), _batch(cpu, rng, 100)     # so many that batch norm's statistics hardly change
    model.train()
    totals, reported = {}, {}
    for samples in (1, 2, 10):
        costs = [model.cost(x, example, Noise(0, step), Weights(samples=samples)) for step in range(200)]
        totals[samples] = np.array([c.total.item() for c in costs])
        reported[samples] = np.mean([(c.reconstruction + c.kl).mean() for c in costs])
    for fewer, more in ((1, 2), (2, 10)):
        gap = totals[fewer].mean() - totals[more].mean()
        assert gap > 5 * np.hypot(totals[fewer].std(), totals[more].std()) / np.sqrt(200)
    assert reported[10] == pytest.approx(reported[1], rel=0.02) == pytest.approx(totals[1].mean(), rel=0.02)
