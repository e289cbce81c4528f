"""Importance sampling of the likelihood: against NumPy, against likelihoods that are known, whatever is decoded at a time."""

import numpy as np
import pytest
from known_likelihoods import LinearGaussian, random_images

from minivae import ops
from minivae.evaluation import evaluate, importance
from minivae.models import build
from minivae.ops.batch import DeviceImages
from minivae.ops.importance import GROUP, draw, log_mean, merge
from minivae.ops.reparameterize import IMPORTANCE, Noise, standard_normal
from minivae.tensor import Tensor

NOISE = Noise(2**40 + 3, 7, IMPORTANCE)
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


# ---- draws ----

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("images", "samples", "codes"), [(1, 1, 1), (3, 5, 2), (2, 70, 13), (5, 3, 40), (1, 300, 8)])
def test_draws(device, rng, dtype, images, samples, codes):
    """Sample s of an image is its code with the noise of step s, and the ratio is that of the two densities."""
    heads = rng.standard_normal((images, 2 * codes)).astype(dtype)
    example = np.arange(50, 50 + images, dtype=np.int32)
    z, ratio = draw(device.from_host(heads), device.from_host(example), samples, NOISE)
    mu, rho = np.split(heads.astype(np.float64), 2, 1)
    sigma = np.logaddexp(0, rho)
    found, ratio = device.to_host(z).reshape(images, samples, codes), device.to_host(ratio).reshape(images, samples)
    for s in range(samples):
        noise = NOISE._replace(step=NOISE.step + s)
        eps = device.to_host(standard_normal(device, images, codes, noise, dtype, first=50)).astype(np.float64)
        expected = mu + sigma * eps
        np.testing.assert_allclose(found[:, s], expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
        np.testing.assert_allclose(ratio[:, s], (0.5 * (eps**2 - expected**2) + np.log(sigma)).sum(1), rtol=TOLERANCE[dtype],
                                   atol=TOLERANCE[dtype] * codes)


def test_a_sample_does_not_depend_on_what_is_drawn_with_it(device, rng):
    """Its number names its noise: the same bits in a batch of others, and as the first of its own."""
    heads, example = device.from_host(rng.standard_normal((2, 18)).astype(np.float32)), device.from_host(np.int32([4, 9]))
    z, ratio = (device.to_host(a) for a in draw(heads, example, 40, NOISE))
    later, its = (device.to_host(a) for a in draw(heads, example, 3, NOISE._replace(step=NOISE.step + 35)))
    np.testing.assert_array_equal(later.reshape(2, 3, 9), z.reshape(2, 40, 9)[:, 35:38])
    np.testing.assert_array_equal(its.reshape(2, 3), ratio.reshape(2, 40)[:, 35:38])


def test_odd_columns_are_refused(device):
    with pytest.raises(ValueError, match="even number of columns, not 3"):
        draw(device.zeros((2, 3), np.float32), device.zeros((2,), np.int32), 5, NOISE)


# ---- the running sum ----

def _log_mean(device, log_weights, dtype, cuts=()):
    """What merge() makes of log weights (images, samples), brought in pieces that end at `cuts`."""
    images, samples = log_weights.shape
    state = device.from_host(np.full((images, 4), np.nan, dtype))
    for first, last in zip((0, *cuts), (*cuts, samples), strict=True):
        ratio = np.ascontiguousarray(log_weights[:, first:last], dtype).reshape(-1)
        cost = np.full_like(ratio, 2)
        merge(state, device.from_host(cost), device.from_host(ratio + cost), first)
    return log_mean(device.to_host(state), samples)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (2, GROUP), (5, GROUP + 1), (2, 3 * GROUP + 136)], ids=str)
def test_log_mean_of_weights(device, rng, shape, dtype):
    """The logarithm of the mean weight and the effective number of samples equal their formulas."""
    w = 8 * rng.integers(-40, 40, shape) / 8 - 200.0      # numbers that adding 2 does not round
    found, effective = _log_mean(device, w, dtype)
    exact = np.exp(w - w.max(1, keepdims=True))
    np.testing.assert_allclose(found, w.max(1) + np.log(exact.mean(1)), rtol=0, atol=2e-6 if dtype is np.float32 else 1e-12)
    np.testing.assert_allclose(effective, exact.sum(1)**2 / (exact**2).sum(1), rtol=TOLERANCE[dtype])


def test_pieces_give_the_same_bits(device, rng):
    """Samples in one launch, or in several that begin at multiples of GROUP."""
    w = 30 * rng.standard_normal((3, 4 * GROUP + 100))
    whole = _log_mean(device, w[:, :4 * GROUP], np.float32)
    for cuts in ((GROUP,), (2 * GROUP, 3 * GROUP), (GROUP, 2 * GROUP, 3 * GROUP)):
        np.testing.assert_array_equal(_log_mean(device, w[:, :4 * GROUP], np.float32, cuts), whole)
    rest = [_log_mean(device, w, np.float32, cuts) for cuts in ((4 * GROUP,), (GROUP, 4 * GROUP))]
    np.testing.assert_array_equal(*rest)
    with pytest.raises(ValueError, match=f"100 samples are there, .* multiples of {GROUP}"):
        _log_mean(device, w, np.float32, (100,))


@pytest.mark.parametrize("far", [1e4, 1e30])
def test_extreme_weights(device, far):
    """Nothing overflows or is lost: weights far above and far below the float range, in rising and falling order."""
    w = np.zeros((3, 2 * GROUP))
    w[0], w[1, :GROUP], w[2, GROUP:] = far, -far, far       # level; rising; rising by much after a whole group
    w = np.concatenate([w, w[:, ::-1], np.full((1, 2 * GROUP), -far)])
    found, effective = _log_mean(device, w, np.float32)
    half = np.log(0.5)
    expected = [far, half, far + half, far, half, far + half, -far]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(effective, [2 * GROUP, GROUP, GROUP, 2 * GROUP, GROUP, GROUP, 2 * GROUP], rtol=1e-6)


def test_zero_weights_and_nan_stay_visible(device):
    """Weights that are all zero give -inf until one comes that is not; NaN gives NaN."""
    w = np.full((3, 2 * GROUP), -np.inf)
    w[1, -1], w[2, 5] = 3.0, np.nan
    found, _ = _log_mean(device, w, np.float32)
    assert found[0] == -np.inf and np.isnan(found[2])
    np.testing.assert_allclose(found[1], 3 - np.log(2 * GROUP), rtol=1e-6)


def test_a_long_sum_loses_nothing(cpu):
    """After 2^24 equal weights a float32 sum would stand still; here it is exact to the last."""
    state, n = np.zeros((1, 4), np.float32), 1 << 20
    zeros = np.zeros(n, np.float32)
    for seen in range(0, 24 * n, n):
        merge(state, zeros, zeros, seen)
    small = np.full(GROUP, -5, np.float32)      # 256 e^-5 = 1.7, less than the sum's last bit
    for seen in range(24 * n, 24 * n + 64 * GROUP, GROUP):
        merge(state, -small, np.zeros_like(small), seen)
    total = np.exp(log_mean(state, 1)[0])
    np.testing.assert_allclose(total, 24 * n + 64 * GROUP * np.exp(-5.0), rtol=0, atol=2e-2)


def test_no_images(device):
    """Nothing to add to is nothing to do; samples of nothing are refused."""
    none, some, state = (device.zeros(shape, np.float32) for shape in ((0,), (5,), (0, 4)))
    merge(state, none, none, 0)
    with pytest.raises(ValueError, match=r"takes a state \(images, 4\)"):
        merge(state, some, some, 0)
    log_p, effective = log_mean(device.to_host(state), 3)
    assert log_p.shape == effective.shape == (0,)


def test_misfits_are_refused(device):
    state, five, six = (device.zeros(shape, np.float32) for shape in ((2, 4), (5,), (6,)))
    for cost, ratio in ((five, five), (six, five)):
        with pytest.raises(ValueError, match=r"takes a state \(images, 4\)"):
            merge(state, cost, ratio, 0)


# ---- pieces ----

@pytest.mark.parametrize(("images", "samples", "rows"), [
    (1, 1, 256), (10, 5000, 2560), (10, 5000, 256), (7, 50, 512), (3, 256, 256), (5, 700, 4096), (2, 5001, 1024),
    (1000, 3, 256)])
def test_pieces_cover_everything_once(images, samples, rows):
    """Every sample of every image once, in rising order, in pieces of bounded size."""
    done = np.zeros(images, int)
    for those, these in importance.plan(images, samples, rows):
        assert (done[those.start:those.stop] == these.start).all() and these.start % GROUP == 0
        assert 0 < len(those) * len(these) <= max(rows, GROUP)
        assert len(these) % GROUP == 0 or len(these) == samples % GROUP
        done[those.start:those.stop] += len(these)
    assert (done == samples).all()


# ---- a model whose likelihood is known ----

@pytest.mark.parametrize("samples", [1, 3])
def test_the_true_posterior_gives_the_exact_likelihood(device, rng, samples):
    """All weights are then equal: a single sample is enough, whichever it is."""
    orthogonal = np.linalg.qr(rng.standard_normal((9, 4)))[0] * [0.5, 0.3, 1.0, 0.1]
    model = LinearGaussian(device, orthogonal, 0.4)
    images, x = random_images(device, rng, 6, 9)
    found = importance.estimate(model, images, samples, seed=5)
    np.testing.assert_allclose(-found.nll, model.log_p(x), rtol=1e-12)
    np.testing.assert_allclose(found.effective, samples, rtol=1e-9)


def test_the_estimate_meets_the_exact_likelihood(fast_device, rng):
    """With another proposal, and codes that depend on each other under the posterior: within its own standard error, image
    by image (4.5 of them; the effective samples give it)."""
    model = LinearGaussian(fast_device, 0.3 * rng.standard_normal((9, 3)), 0.4, spread=1.3)
    images, x = random_images(fast_device, rng, 40, 9)
    samples = 20_000
    found = importance.estimate(model, images, samples, seed=5)
    error = np.sqrt(1 / found.effective - 1 / samples)      # of log p(x), to first order
    off = (-found.nll - model.log_p(x)) / error
    assert (found.effective < 0.9 * samples).all() and (found.effective > 0.02 * samples).all()
    assert np.abs(off).max() < 4.5 and 0.5 < off.std() < 2 and np.abs(off.mean()) < 4.5 / np.sqrt(len(off))


def test_the_bound_rises_with_the_samples(cpu, rng):
    """log-mean-exps over 1, 2, 4, ... of the same 64 samples, averaged over all that are disjoint, rise with the number for
    every image (Burda et al. 2016, theorem 1), and stay below log p(x) by their mean."""
    model = LinearGaussian(cpu, rng.standard_normal((9, 3)), 0.3, spread=1.4)
    images, x = random_images(cpu, rng, 50, 9)
    bounds = []
    for size in (1, 2, 4, 8, 16, 32, 64):
        groups = [-importance.estimate(model, images, size, seed=3, first=first).nll for first in range(0, 64, size)]
        bounds.append(np.mean(groups, 0))
    assert (np.diff(bounds, axis=0) > 0).all()
    gaps = model.log_p(x).mean() - np.mean(bounds, 1)
    assert (gaps > 0).all() and gaps[-1] < 0.2 * gaps[0]


# ---- a VAE ----

def _vae(device, dtype=np.float32, **settings):
    model = build("ff", (4, 3, 1), device, hidden=(7, 6), code=5, dtype=dtype, **settings)
    numbers = np.random.default_rng(1).integers(0, 256, (30, 4, 3, 1), np.uint8)
    images = DeviceImages(numbers, device, dtype, binarize=model.likelihood.discrete)
    evaluate.fix_statistics(model, images)
    return model, images


LIKELIHOODS = [{"likelihood": "bernoulli", "binarize": True}, {"likelihood": "bernoulli"}, {"likelihood": "gaussian"},
               {"likelihood": "gaussian", "sigma": 0.3}, {"likelihood": "squared-error"}]


@pytest.mark.parametrize("settings", LIKELIHOODS, ids=str)
def test_against_numpy(device, settings):
    """The estimate is what NumPy makes of each sample's own code, decoded by itself."""
    model, images = _vae(device, np.float64, **settings)
    found = importance.estimate(model, images, 10, seed=4, limit=6)
    x, example = images.batch(0, 6, Noise(4, 0, evaluate.EVALUATE))
    mu, rho = np.split(device.to_host(model.encode(x).data), 2, 1)
    sigma, log_weights = np.logaddexp(0, rho), []
    for s in range(10):
        eps = device.to_host(standard_normal(device, 6, 5, Noise(4, s, IMPORTANCE), np.float64))
        z = mu + sigma * eps
        cost = device.to_host(model.likelihood(model.decode(device.from_host(z)), x).data)
        log_q = -0.5 * (eps**2 + 2 * np.log(sigma) + np.log(2 * np.pi)).sum(1)
        log_weights.append(-cost - 0.5 * (z**2 + np.log(2 * np.pi)).sum(1) - log_q)
    expected = np.log(np.mean(np.exp(np.array(log_weights) + 50), 0)) - 50
    np.testing.assert_allclose(-found.nll, expected, rtol=1e-11)
    assert found.nll.shape == found.effective.shape == (6,)


def test_any_number_of_rows_at_a_time_gives_the_same_bits(cpu):
    """The pieces that are decoded do not change the noise, nor what a CPU makes of it."""
    model, images = _vae(cpu, likelihood="bernoulli", binarize=True)
    for samples in (50, 700):
        one, *others = [importance.estimate(model, images, samples, rows=rows) for rows in (256, 512, 2560, 1 << 16)]
        for other in others:
            np.testing.assert_array_equal(one.nll, other.nll)
            np.testing.assert_array_equal(one.effective, other.effective)


def test_any_number_of_threads_gives_the_same_bits(cpu, threads):
    model, images = _vae(cpu, likelihood="bernoulli", binarize=True)
    found = []
    for count in (1, 2, 3):
        threads(count)
        found.append(importance.estimate(model, images, 700).nll)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_devices_agree(simt, cpu):
    """The stand-in for a GPU and the CPU draw the same samples of the same images."""
    here, there = (_vae(d, likelihood="bernoulli", binarize=True) for d in (cpu, simt))
    expected = importance.estimate(*here, 300, limit=3)
    for rows in (256, 1024):
        found = importance.estimate(*there, 300, limit=3, rows=rows)
        np.testing.assert_allclose(found.nll, expected.nll, rtol=2e-5)
        np.testing.assert_allclose(found.effective, expected.effective, rtol=1e-3)


def test_progress_adds_up(cpu):
    model, images = _vae(cpu)
    told = []
    importance.estimate(model, images, 300, limit=20, rows=512, progress=told.append)
    assert sum(told) == 20 * 300 and len(told) > 10


@pytest.mark.parametrize("cost", ["squared_error", "bernoulli"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 8), (9, 33), (6, 784), (2, 9000)], ids=str)
def test_costs_without_a_gradient(device, rng, cost, shape):
    """Where nobody needs a gradient another kernel gives the same value."""
    y = device.from_host((3 * rng.standard_normal(shape)).astype(np.float32))
    x = device.from_host(rng.random(shape, np.float32))
    alone, beside = getattr(ops, cost)(y, x), getattr(ops, cost)(Tensor(y, requires_grad=True), x)
    np.testing.assert_allclose(device.to_host(alone.data), device.to_host(beside.data), rtol=1e-6)
