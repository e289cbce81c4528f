"""Optimizers against independent float64 statements of their equations."""

import numpy as np
import pytest

from minivae.device import device_of
from minivae.nn import Flat, Module, Parameter
from minivae.optim import OPTIMIZERS, SGD, Adam, RMSProp


class Two(Module):
    """Two parameters of awkward sizes."""

    def __init__(self, device, dtype, rng):
        self.a = Parameter(device.from_host(rng.standard_normal((7, 5)).astype(dtype)))
        self.b = Parameter(device.from_host(rng.standard_normal(3).astype(dtype)))


def rescaled(p, g, limit):
    norm = np.sqrt((g**2).sum())
    if not np.isfinite(norm):
        return 0.1 * p
    return g * limit / max(limit, norm) if np.isfinite(limit) else g


def sgd(p, grads, lr, mu=0.9, limit=np.inf):
    m = 0
    for g in grads:
        m = mu * m - lr * rescaled(p, g, limit)
        p = p + mu * m - lr * rescaled(p, g, limit)
    return p


def rmsprop(p, grads, lr, mu=0.9, decay=0.9, floor=1e-4, limit=5.0):
    m = n = a = 0
    for g in grads:
        g = rescaled(p, g, limit)
        n, a = decay * n + (1 - decay) * g**2, decay * a + (1 - decay) * g
        step = lr * g / np.maximum(np.sqrt(n - a**2), floor)
        m = mu * m - step
        p = p + mu * m - step
    return p


def adam(p, grads, lr, b1=0.9, b2=0.999, eps=1e-8, limit=np.inf):
    m = v = 0
    for t, g in enumerate(grads, 1):
        g = rescaled(p, g, limit)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return p


STATEMENTS = {"sgd": sgd, "rmsprop": rmsprop, "adam": adam}


def run(device, rng, make, grads, dtype=np.float64):
    """The parameters (one vector) before and after steps with given gradients (steps, 38)."""
    model = Two(device, dtype, rng)
    flat = Flat(model, device, dtype)
    optimizer = make(flat)
    before = np.concatenate([device.to_host(p.data).ravel() for p in (model.a, model.b)])
    for g in grads:
        for p, part in ((model.a, g[:35]), (model.b, g[35:])):
            p._grad[...] = device.from_host(part.reshape(p.shape).astype(dtype))
            p._fresh = False
        optimizer.step()
    return before, np.concatenate([device.to_host(p.data).ravel() for p in (model.a, model.b)])


@pytest.mark.parametrize("limit", [None, 5.0, 0.01])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps(device, rng, name, limit):
    """Fifty steps with changing gradients, rescaled or not, end at the same parameters."""
    grads = rng.standard_normal((50, 38)) * np.exp(rng.uniform(-8, 3, (50, 1)))
    before, after = run(device, rng, lambda flat: OPTIMIZERS[name](flat, 0.01, limit=limit), grads)
    expected = STATEMENTS[name](before, grads, 0.01, limit=np.inf if limit is None else limit)
    np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_follows_float64(device, rng, name):
    """The float32 build stays within its rounding over fifty steps."""
    grads = rng.standard_normal((50, 38))
    before, after = run(device, rng, lambda flat: OPTIMIZERS[name](flat, 0.01), grads, np.float32)
    limit = 5.0 if name == "rmsprop" else np.inf
    np.testing.assert_allclose(after, STATEMENTS[name](before.astype(np.float64), grads, 0.01, limit=limit), atol=2e-3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gradient_that_is_not_finite_shrinks_the_parameters(device, rng, bad):
    """The step uses 0.1 * parameter as its gradient, for all parameters."""
    g = rng.standard_normal((1, 38))
    g[0, 20] = bad
    for name, statement in STATEMENTS.items():
        before, after = run(device, rng, lambda flat, name=name: OPTIMIZERS[name](flat, 0.01), g)
        np.testing.assert_allclose(after, statement(before, g, 0.01), rtol=1e-9, atol=1e-11)
        assert np.isfinite(after).all()


@pytest.mark.parametrize(("optimizer", "lr", "steps"), [(SGD, 0.05, 200), (RMSProp, 0.003, 3000), (Adam, 0.05, 1000)])
def test_reaches_the_minimum_of_a_parabola(fast_device, rng, optimizer, lr, steps):
    """f(p) = |p|^2 / 2, from the gradient p."""
    model = Two(fast_device, np.float64, rng)
    made = optimizer(Flat(model, fast_device, np.float64), lr)
    for _ in range(steps):
        for p in (model.a, model.b):
            p._grad[...] = p.data
            p._fresh = False
        made.step()
    assert max(abs(fast_device.to_host(p.data)).max() for p in (model.a, model.b)) < 0.05


def test_flat_arrays(device, rng):
    """Parameters and gradients are views of two arrays, each aligned, the gaps zero; unused ones get 0."""
    model = Two(device, np.float32, rng)
    values = [device.to_host(p.data).copy() for p in (model.a, model.b)]
    flat = Flat(model, device)
    assert flat.count == 38 and flat.values.size == 48 + 16
    for p, value, start in zip((model.a, model.b), values, (0, 48), strict=True):
        np.testing.assert_array_equal(device.to_host(p.data), value)
        np.testing.assert_array_equal(device.to_host(flat.values)[start:start + value.size], value.ravel())
        assert device_of(p.data) is device
    flat.grads[...] = 7
    flat.require_grad()
    assert not device.to_host(model.a.grad).any() and not device.to_host(model.b.grad).any()
