"""Optimizers against independent float64 statements of their equations (tests/optimizers.py): one table of all."""

import json
import math

import numpy as np
import pytest
from optimizers import STATEMENTS, stated

from minivae import optim
from minivae.device import device_of
from minivae.errors import MinivaeError
from minivae.nn import Flat, Module, Parameter
from minivae.optim import OPTIMIZERS, Average, make
from minivae.optim.layerwise import PIECE
from minivae.trace import recording

ALL = pytest.mark.parametrize("name", OPTIMIZERS)


class Two(Module):
    """Two parameters of awkward sizes."""

    def __init__(self, device, dtype, rng):
        self.a = Parameter(device.from_host(rng.standard_normal((7, 5)).astype(dtype)))
        self.b = Parameter(device.from_host(rng.standard_normal(3).astype(dtype)))

    @property
    def vector(self):
        """All 38 numbers, on the host."""
        return np.concatenate([device_of(p.data).to_host(p.data).ravel() for p in (self.a, self.b)])

    def give(self, gradient):
        """Set the gradient from a vector like this."""
        for p, part in ((self.a, gradient[:35]), (self.b, gradient[35:])):
            p._grad[...] = device_of(p.data).from_host(part.reshape(p.shape).astype(p.data.dtype))
            p._fresh = False


def run(device, rng, make, grads, dtype=np.float64):
    """The parameters (one vector) before and after steps with given gradients (steps, 38)."""
    model = Two(device, dtype, rng)
    optimizer = make(Flat(model, device, dtype))
    before = model.vector
    for g in grads:
        model.give(g)
        optimizer.step()
    return before, model.vector


def changing(rng):
    """Fifty gradients whose sizes differ by e^11."""
    return rng.standard_normal((50, 38)) * np.exp(rng.uniform(-8, 3, (50, 1)))


def test_every_optimizer_is_stated():
    assert set(STATEMENTS) == set(OPTIMIZERS)


AROUND = [{}, {"limit": 5.0}, {"limit": 0.01}, {"clip": 0.1}, {"weight_decay": 0.1},
          {"limit": 2.0, "clip": 0.3, "weight_decay": 0.02}]


@ALL
@pytest.mark.parametrize("around", AROUND, ids=str)
def test_fifty_steps(device, rng, name, around):
    """Fifty steps with changing gradients in float64, the gradient rescaled, clipped, decayed or not: 1e-12 of the
    parameters' size, and with a centred variance, which cancels, 1e-10."""
    around = {"limit": None, **around}      # rmsprop has a limit of its own
    grads = changing(rng)
    before, after = run(device, rng, lambda flat: OPTIMIZERS[name](flat, 0.01, **around), grads)
    tolerance = 1e-10 if "average" in OPTIMIZERS[name].STATE else 1e-12
    np.testing.assert_allclose(after, stated(name, before, grads, 0.01, **around), rtol=0, atol=tolerance * abs(before).max())
    assert abs(after - before).max() > 1e-5


@ALL
def test_float32(device, rng, name):
    """Fifty steps of the float32 build, rounding fifty times: 1e-6 of the parameters' size at a rate of 0.001."""
    grads = rng.standard_normal((50, 38))
    model = Two(device, np.float32, rng)
    before = model.vector.astype(np.float64)
    optimizer = OPTIMIZERS[name](Flat(model, device), 1e-3, limit=5.0)
    for g in grads:
        model.give(g)
        optimizer.step()
    expected = stated(name, before, grads.astype(np.float32).astype(np.float64), 1e-3, limit=5.0)
    np.testing.assert_allclose(model.vector, expected, rtol=0, atol=1e-6 * abs(before).max())


@ALL
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_gradient_that_is_not_finite(device, rng, name, bad):
    """With a limit, be it infinite, the step uses 0.1 * parameter as its gradient, for all parameters; without one it is
    not hidden."""
    g = rng.standard_normal((1, 38))
    g[0, 20] = bad
    for limit in (math.inf, 5.0):
        before, after = run(device, rng, lambda flat, limit=limit: OPTIMIZERS[name](flat, 0.01, limit=limit), g)
        np.testing.assert_allclose(after, stated(name, before, g, 0.01, limit=limit), rtol=1e-9, atol=1e-11)
        assert np.isfinite(after).all()
    if math.isnan(bad):
        _, after = run(device, rng, lambda flat: OPTIMIZERS[name](flat, 0.01, limit=None), g)
        assert np.isnan(after[20])


PARABOLA = {"sgd": 0.05, "momentum": 0.05, "nesterov": 0.05, "adagrad": 0.5, "adadelta": 20.0, "lamb": 0.02}
ROSENBROCK = {"sgd": 2e-4, "momentum": 2e-4, "nesterov": 2e-4, "adagrad": 0.3, "adadelta": 1.0, "lion": 5e-3}


def minimized(device, rng, name, lr, steps, f, **around):
    """(f, its gradient) at the start and the lowest f on the way; `f` of a vector of 38 gives both."""
    model = Two(device, np.float64, rng)
    optimizer = make(name, Flat(model, device, np.float64), lr, weight_decay=0.0, **around)
    first = best = f(model.vector)[0]
    for step in range(steps):
        optimizer.lr = lr * (1 - step / steps)
        model.give(f(model.vector)[1])
        optimizer.step()
        best = min(best, f(model.vector)[0])
    return first, best


def parabola(p):
    return (p**2).sum() / 2, p


def rosenbrock(p):
    """Nineteen valleys: sum of (1 - x)^2 + 100 (y - x^2)^2."""
    x, y = p[:19], p[19:]
    slope = y - x**2
    return ((1 - x)**2 + 100 * slope**2).sum(), np.concatenate([2 * (x - 1) - 400 * x * slope, 200 * slope])


@ALL
def test_reaches_the_minimum_of_a_parabola(cpu, rng, name):
    """f(p) = |p|^2 / 2."""
    first, last = minimized(cpu, rng, name, PARABOLA.get(name, 0.02), 1500, parabola)
    assert last < 1e-3 * first


@ALL
def test_goes_down_rosenbrocks_valley(cpu, rng, name):
    """To less than a hundredth of where it began in 3,000 steps. RAdam's first four are as long as the gradients, which
    are in the thousands, and are rescaled."""
    around = {"rescale": 10.0} if name == "radam" else {}
    first, last = minimized(cpu, rng, name, ROSENBROCK.get(name, 1e-2), 3000, rosenbrock, **around)
    assert last < 1e-2 * first


# ---- one launch ----

@ALL
def test_launches(cpu, rng, name):
    """One over the flat array, LAMB's two, and one more for the norm where there is a limit."""
    model = Two(cpu, np.float32, rng)
    for limit, more in ((None, 0), (5.0, 1), (math.inf, 1)):
        optimizer = OPTIMIZERS[name](Flat(model, cpu), limit=limit)
        model.give(np.ones(38))
        with recording() as record:
            optimizer.step()
        assert len(record.calls) == more + (2 if name == "lamb" else 1)


def test_lamb_over_many_pieces(device, rng):
    """Tensors of less than a piece, of exactly one and of several, each with a rate of its own."""
    sizes = (3, PIECE, 2 * PIECE + 37)

    class Large(Module):
        def __init__(self):
            self.a, self.b, self.c = (Parameter(device.from_host(k * rng.standard_normal(n)))
                                      for k, n in enumerate(sizes, 1))

    model = Large()
    tensors = model.a, model.b, model.c
    flat = Flat(model, device, np.float64)
    before, grads = [device.to_host(p.data).copy() for p in tensors], [rng.standard_normal(n) for n in sizes]
    optimizer = OPTIMIZERS["lamb"](flat, 0.01)
    for p, g in zip(tensors, grads, strict=True):
        p._grad[...] = device.from_host(g)
        p._fresh = False
    optimizer.step()
    for p, b, g in zip(tensors, before, grads, strict=True):
        r = g / (abs(g) + 1e-6) + 0.01 * b
        expected = b - 0.01 * np.linalg.norm(b) / np.linalg.norm(r) * r
        np.testing.assert_allclose(device.to_host(p.data), expected, rtol=1e-12)


# ---- saved and restored ----

@ALL
def test_goes_on_where_it_was_saved(device, rng, name):
    """Bit for bit, through the text that a checkpoint keeps the numbers in."""
    grads = changing(rng)[:20].astype(np.float32)
    whole, half = Two(device, np.float32, rng), Two(device, np.float32, rng)
    flats = [Flat(model, device) for model in (whole, half)]
    flats[1].values[...] = flats[0].values
    made = make(name, flats[0], 0.01)
    for g in grads[:11]:
        whole.give(g)
        made.step()
    again = make(name, flats[1], 0.01)
    flats[1].values[...] = flats[0].values
    again.restore({k: device.to_host(v).copy() for k, v in made.state.items()}, json.loads(json.dumps(made.facts())))
    for g in grads[11:]:
        for model, optimizer in ((whole, made), (half, again)):
            model.give(g)
            optimizer.step()
    np.testing.assert_array_equal(half.vector, whole.vector)
    for key in made.state:
        np.testing.assert_array_equal(device.to_host(again.state[key]), device.to_host(made.state[key]))
    assert again.facts() == made.facts() and made.steps == 20


def test_another_optimizers_state_is_refused(cpu, rng):
    flat = Flat(Two(cpu, np.float32, rng), cpu)
    adam, sgd, nadam = (make(name, flat, 0.01) for name in ("adam", "sgd", "nadam"))
    with pytest.raises(MinivaeError, match="saved optimizer has the arrays none, but Adam needs mean, square: take the"):
        adam.restore(sgd.state, sgd.facts())
    with pytest.raises(MinivaeError, match="has the numbers steps, but NAdam needs product, steps"):
        nadam.restore(adam.state, adam.facts())
    with pytest.raises(MinivaeError, match=r"saved optimizer's mean has \(3,\) numbers of float32, but this model needs \(64,\)"):
        adam.restore({key: np.zeros(3, np.float32) for key in adam.state}, adam.facts())


# ---- the average of the weights ----

def test_average(device, rng):
    """Against its equation; swapping exchanges it with the parameters and back."""
    model = Two(device, np.float64, rng)
    flat = Flat(model, device, np.float64)
    average, expected = Average(flat, 0.4), model.vector
    for t in range(1, 9):
        new = rng.standard_normal(38)
        model.a.data[...], model.b.data[...] = device.from_host(new[:35].reshape(7, 5)), device.from_host(new[35:])
        average.step()
        b = min(0.4, (1 + t) / (10 + t))
        expected = b * expected + (1 - b) * new
    with average.in_use():
        np.testing.assert_allclose(model.vector, expected, rtol=1e-13)
    np.testing.assert_array_equal(model.vector, new)


# ---- what the command line says of them ----

@ALL
def test_docstrings_say_what_it_is(name):
    """Name and paper with its year, then the update of p, and defaults that begin with the rate."""
    kind = OPTIMIZERS[name]
    assert "(" in kind.title() and any(str(year) in kind.title() for year in range(1951, 2024))
    assert "p -= " in kind.equation() or "p += " in kind.equation()
    assert next(iter(kind.defaults())) == "lr" and {"limit", "clip", "weight_decay"} < set(kind.defaults())


def test_made_by_name(cpu, rng):
    flat = Flat(Two(cpu, np.float32, rng), cpu)
    assert make("rmsprop", flat, 1).limit == 5 and make("rmsprop", flat, 1, rescale=0).limit is None
    assert make("adamw", flat, 1).weight_decay == 0.01 and make("adamw", flat, 1, weight_decay=0).weight_decay == 0
    assert make("sgd", flat, 1, clip=0).clip is None and make("sgd", flat, 1, clip=2.0, rescale=3.0).clip == 2
    assert set(optim.__all__) <= set(dir(optim))


def test_flat_arrays(device, rng):
    """Parameters and gradients are views of two arrays, each aligned, the gaps zero; unused ones get 0."""
    model = Two(device, np.float32, rng)
    values = [device.to_host(p.data).copy() for p in (model.a, model.b)]
    flat = Flat(model, device)
    assert flat.count == 38 and flat.values.size == 48 + 16 and flat.segments == [(0, 48), (48, 64)]
    for p, value, start in zip((model.a, model.b), values, (0, 48), strict=True):
        np.testing.assert_array_equal(device.to_host(p.data), value)
        np.testing.assert_array_equal(device.to_host(flat.values)[start:start + value.size], value.ravel())
        assert device_of(p.data) is device
    flat.grads[...] = 7
    flat.require_grad()
    assert not device.to_host(model.a.grad).any() and not device.to_host(model.b.grad).any()
