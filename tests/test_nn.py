"""Modules: names, initial weights, state, batch norm's modes, fixed-point statistics."""

import numpy as np
import pytest

from minivae import fixed_point, ops
from minivae.errors import MinivaeError
from minivae.nn import Dense, Module, glorot
from minivae.tensor import Tensor, no_grad


class Net(Module):
    def __init__(self, device, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        self.layers = [Dense(6, 9, "relu", rng, device, dtype), Dense(9, 5, "tanh", rng, device, dtype)]
        self.last = Dense(5, 4, "identity", rng, device, dtype)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def test_names_come_in_the_order_of_use(device):
    net = Net(device)
    stem = ("weight", "norm.gamma", "norm.beta")
    expected = [f"{layer}.{name}" for layer in ("layers.0", "layers.1", "last") for name in stem]
    assert [name for name, _ in net.parameters()] == expected
    assert [name for name, _ in net.batch_norms()] == ["layers.0.norm", "layers.1.norm", "last.norm"]


def test_glorot(rng):
    """Uniform within +-sqrt(6 / (in + out)); heads beside each other keep the limit of one."""
    for heads in (1, 2):
        w, limit = glorot(rng, 300, 200, heads), np.sqrt(6 / (300 + 200 / heads))
        assert abs(w).max() <= limit and w.std() == pytest.approx(limit / np.sqrt(3), rel=0.02)


def test_state_round_trip(device, rng):
    """Another net with the same state computes the same, in evaluation too."""
    a, b = Net(device, seed=1), Net(device, seed=2)
    x = device.from_host(rng.standard_normal((50, 6)))
    fixed_point.compute(a, lambda: [a(x)])
    b.load_state({name: device.to_host(value) for name, value in a.state().items()}, device)
    b.train(False)
    np.testing.assert_array_equal(device.to_host(a(x).data), device.to_host(b(x).data))


def test_state_that_does_not_fit_is_named(device):
    net = Net(device)
    state = {name: device.to_host(value) for name, value in net.state().items()}
    with pytest.raises(MinivaeError, match=r"missing \['last.weight'\], unexpected \['other'\]"):
        net.load_state({**{k: v for k, v in state.items() if k != "last.weight"}, "other": np.zeros(3)}, device)
    with pytest.raises(MinivaeError, match=r"parameter last.weight is \(4, 5\) float64 in the file.*needs \(5, 4\)"):
        net.load_state({**state, "last.weight": state["last.weight"].T}, device)


def test_evaluation_needs_statistics(device):
    net = Net(device)
    net.train(False)
    with pytest.raises(MinivaeError, match="no fixed-point statistics yet"):
        net(device.zeros((3, 6), np.float64))


def reference_moments(net, device, x):
    """Layer by layer in NumPy: every layer's exact moments over x, given those of the layers before it."""
    found = []
    for layer in (*net.layers, net.last):
        u = x @ device.to_host(layer.weight.data)
        found.append(np.stack([u.mean(0), u.var(0)]))
        act = {"relu": lambda v: np.maximum(v, 0), "tanh": np.tanh, "identity": lambda v: v}[layer.norm.activation]
        x = act((u - u.mean(0)) / np.sqrt(u.var(0) + 1e-5) * device.to_host(layer.norm.gamma.data)
                + device.to_host(layer.norm.beta.data))
    return found


def test_fixed_point_statistics_are_exact(device, rng):
    """Gathered over uneven batches they equal the moments over all the data, each layer's under those of the
    layers before it: what a batch's own moments only approximate."""
    net = Net(device)
    x = rng.standard_normal((103, 6)) * rng.uniform(0.1, 5, 6)
    parts = [device.from_host(part) for part in np.split(x, [3, 20, 81])]
    passes = fixed_point.compute(net, lambda: (net(part) for part in parts), tolerance=1e-9)
    assert passes.change <= 1e-9 and 2 <= passes.count <= 5
    for (_, bn), expected in zip(net.batch_norms(), reference_moments(net, device, x), strict=True):
        np.testing.assert_allclose(device.to_host(bn.moments), expected, rtol=1e-9, atol=1e-12)
    assert not net.last.norm.training


def test_fixed_point_stops_early(device, rng):
    """A limit on the passes is kept; with one batch the first pass is exact already."""
    net, x = Net(device), device.from_host(rng.standard_normal((40, 6)))
    assert fixed_point.compute(net, lambda: [net(x)], most=1).count == 1
    assert fixed_point.compute(net, lambda: [net(x)]) == (2, pytest.approx(0, abs=1e-9))


def test_gathering_leaves_the_values_alone(device, rng):
    """What a layer gives does not change while its moments are gathered, and nothing is recorded."""
    net, x = Net(device), device.from_host(rng.standard_normal((40, 6)))
    before = device.to_host(net(x).data)
    bn = net.layers[0].norm
    bn.gather(device.zeros((2, 9), np.float64))
    np.testing.assert_array_equal(device.to_host(net(x).data), before)
    bn.gather(None)
    with no_grad():
        cost = ops.mean(net(x))
    assert isinstance(cost, Tensor) and not cost.requires_grad
