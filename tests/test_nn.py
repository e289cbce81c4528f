"""Modules: names, initial weights, state, batch norm's modes, fixed-point statistics."""

import numpy as np
import pytest

from minivae import models, ops, trace
from minivae.errors import MinivaeError
from minivae.evaluation import fixed_point
from minivae.models import build
from minivae.nn import Buffer, Conv, Dense, Flat, Module, Parameter, Sequential, batch_norms, glorot, summarize
from minivae.tensor import Tensor, no_grad


class Net(Module):
    def __init__(self, device, dtype=np.float64, seed=0):
        rng = np.random.default_rng(seed)
        self.layers = [Dense(6, 9, "relu", rng, device, dtype), Dense(9, 5, "tanh", rng, device, dtype)]
        self.last = Dense(5, 4, "identity", rng, device, dtype)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.last(x)


def test_names_come_in_the_order_of_use(device):
    net = Net(device)
    stem = ("weight", "norm.gamma", "norm.beta")
    expected = [f"{layer}.{name}" for layer in ("layers.0", "layers.1", "last") for name in stem]
    assert [name for name, _ in net.named_parameters()] == expected
    assert [name for name, _ in batch_norms(net)] == ["layers.0.norm", "layers.1.norm", "last.norm"]


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
    b.load_state_dict({name: device.to_host(value) for name, value in a.state_dict().items()})
    b.eval()
    np.testing.assert_array_equal(device.to_host(a(x).data), device.to_host(b(x).data))


def test_all_that_does_not_fit_is_named_at_once(device):
    """Missing, unexpected, misshapen and of another dtype in one line; and nothing of such a state is taken over."""
    net = Net(device)
    before = {name: device.to_host(value) for name, value in net.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["layers.0.weight"], state["last.norm.beta"]
    state |= {"other": np.zeros(3), "last.weight": state["last.weight"].T, "last.norm.moments": np.zeros((2, 5)),
              "layers.1.weight": state["layers.1.weight"].astype(np.float32)}
    with pytest.raises(MinivaeError) as raised:
        net.load_state_dict(state)
    assert str(raised.value) == (
        "this state does not fit the model: missing last.norm.beta, layers.0.weight; unexpected other; last.norm.moments is "
        "(2, 5) float64, expected (2, 4) float64; last.weight is (4, 5) float64, expected (5, 4) float64; layers.1.weight is "
        "(9, 5) float32, expected (9, 5) float64; build the model with the settings that it was trained with")
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(device.to_host(value), before[name])


def test_loaded_values_are_copies_in_place(device, rng):
    """Parameters stay views of the flat arrays; statistics are the module's own; those not in a state are gone."""
    a, b = Net(device, seed=1), Net(device, seed=2)
    flat = Flat(b, device, np.float64)
    fixed_point.compute(a, lambda: [a(device.from_host(rng.standard_normal((50, 6))))])
    b.load_state_dict(a.state_dict())
    a.layers[0].weight.data.fill(7)
    a.layers[0].norm.moments.fill(7)
    weight, moments = (device.to_host(x) for x in (b.layers[0].weight.data, b.layers[0].norm.moments))
    assert not (weight == 7).any() and not (moments == 7).any()
    np.testing.assert_array_equal(device.to_host(flat.values)[:weight.size], weight.ravel())
    b.load_state_dict(Net(device).state_dict())
    assert [bn.moments for _, bn in batch_norms(b)] == [None] * 3


def test_state_goes_from_device_to_device(cpu, simt):
    """A state of another device's arrays is taken over as one of the host's."""
    for one, other in ((cpu, simt), (simt, cpu)):
        a, b = Net(one, seed=1), Net(other, seed=2)
        b.load_state_dict(a.state_dict())
        np.testing.assert_array_equal(one.to_host(a.last.weight.data), other.to_host(b.last.weight.data))


def test_names_in_checkpoints_stay(cpu):
    """What runs of earlier versions saved: their checkpoints must load."""
    stem = ("weight", "norm.gamma", "norm.beta")
    ff = build("ff", (4, 4, 1), cpu, hidden=(6, 5), code=3)
    conv = build("conv", (4, 4, 1), cpu, channels=(6,), hidden=(5,), code=3)
    for model, layers in ((ff, ("encoder.0", "encoder.1", "heads", "decoder.0", "decoder.1", "decoder.2")),
                          (conv, ("encoder.down.0", "encoder.dense.0", "heads", "decoder.dense", "decoder.up.0"))):
        names = [f"{layer}.{name}" for layer in layers for name in stem]
        assert list(model.state_dict()) == [name for name, _ in model.named_parameters()] == names
        assert [name for name, *_ in model.named_buffers()] == [f"{layer}.norm.moments" for layer in layers]


class Mixed(Module):
    """Modules and parameters wherever they may be, some in two places."""

    def __init__(self, device):
        def parameter():
            return Parameter(device.zeros((2,), np.float64))

        self.own, self.count, self.name = parameter(), 3, "mixed"
        self.table = {"left": Leaf(device), "right": [Leaf(device), {"deep": Leaf(device)}], "none": None}
        self.loose = [parameter(), 5, {"x": parameter()}]
        self.again = self.table["left"]
        self.shared = Leaf(device)
        self.shared.weight = self.own
        self.circle = [self]


class Leaf(Module):
    def __init__(self, device):
        self.weight = Parameter(device.zeros((2,), np.float64))
        self.scale = device.zeros((3,), np.float32)
        self.device = device

    def buffers(self):
        return {"scale": Buffer((3,), np.dtype(np.float32), self.device)}

    def forward(self, x):
        return ops.add(x, self.weight)


def test_modules_and_parameters_are_found_wherever_they_are(cpu):
    """In attributes, lists and dicts, nested; each once, in a fixed order; a module may even hold itself."""
    mixed = Mixed(cpu)
    below = ["table.left", "table.right.0", "table.right.1.deep", "shared"]
    assert [name for name, _ in mixed.named_modules()] == ["", *below]
    assert [name for name, _ in mixed.named_parameters()] == [
        "own", "loose.0", "loose.2.x", *(f"{name}.weight" for name in below[:-1])]
    assert [name for name, *_ in mixed.named_buffers()] == [f"{name}.scale" for name in below]
    assert len(mixed.state_dict()) == 10 and Flat(mixed, cpu, np.float64).count == 12
    mixed.eval()
    assert not any(module.training for module in mixed.modules())
    mixed.train()
    assert all(module.training for module in mixed.modules())


def test_keys_that_would_blur_names_are_refused(cpu):
    mixed = Mixed(cpu)
    for key in ("a.b", 3):
        mixed.table = {key: Leaf(cpu)}
        with pytest.raises(MinivaeError, match=rf"table holds Modules under the key {key!r}.*without dots"):
            mixed.state_dict()


def test_buffers_are_part_of_the_state(device):
    """An own array of a module goes with its state, and comes back with it."""
    a, b = Leaf(device), Leaf(device)
    a.scale.fill(5)
    b.load_state_dict({name: device.to_host(value) for name, value in a.state_dict().items()})
    np.testing.assert_array_equal(device.to_host(b.scale), [5, 5, 5])
    with pytest.raises(MinivaeError, match=r"scale is \(2,\) float32, expected \(3,\) float32"):
        b.load_state_dict({"weight": np.zeros(2), "scale": np.zeros(2, np.float32)})


def test_a_module_without_forward_says_so(cpu):
    with pytest.raises(NotImplementedError, match=r"Mixed has no forward\(\): define what it computes"):
        Mixed(cpu)(3)


def test_gradients_are_forgotten(cpu):
    leaf = Leaf(cpu)
    ops.mean(leaf(cpu.zeros((2,), np.float64))).backward()
    assert leaf.weight.grad is not None
    leaf.clear_grad()
    assert leaf.weight.grad is None


def test_summary(device):
    """Shapes, parameters, and arithmetic by hand; what is called twice works twice; what is not called works not at all."""
    rng = np.random.default_rng(0)
    dense = Dense(5, 5, "relu", rng, device, np.float64)
    net = Sequential(Dense(6, 5, "tanh", rng, device, np.float64), dense, dense)
    net.spare = Dense(3, 2, "relu", rng, device, np.float64)
    before = {name: device.to_host(value) for name, value in net.state_dict().items()}
    summary = summarize(net, device.zeros((7, 6), np.float64))
    assert summary.rows == (
        ("", "Sequential", 0, (7, 5), 40 + 35 + 10, 2 * 7 * (6 * 5 + 2 * 5 * 5)), ("0", "Dense", 1, (7, 5), 40, 2 * 7 * 30),
        ("1", "Dense", 1, (7, 5), 35, 2 * 2 * 7 * 25), ("spare", "Dense", 1, None, 10, 0))
    assert (summary.parameters, summary.flops) == (85, 1120)
    deeper = summarize(net, device.zeros((7, 6), np.float64), depth=2).rows
    assert [(row.name, row.depth) for row in deeper][1:3] == [("0", 1), ("0.norm", 2)]
    assert trace.active is None and net.training
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(device.to_host(value), before[name])


def test_summary_as_a_table(cpu):
    net = Sequential(Conv(1, 3, "relu", np.random.default_rng(0), cpu, pool=2), lambda x: ops.reshape(x, shape=(5, -1)))
    lines = str(summarize(net, cpu.zeros((5, 8, 6, 1), np.float32))).splitlines()
    assert [line.replace("│", " ").split() for line in lines if "│" in line] == [
        ["0", "Conv", "(5,", "4,", "3,", "3)", "33", "12,960"], ["all", "Sequential", "(5,", "36)", "33", "12,960"]]


def test_summary_of_both_architectures(cpu):
    """A forward pass of one image is what the layers' sizes say."""
    ff, conv = (models.summary(arch, (28, 28, 1), cpu) for arch in ("ff", "conv"))
    assert ff.flops == 2 * (2 * 784 * 512 + 2 * 512 * 512 + 2 * 512 * 256 + 256 * 768 + 384 * 256)
    assert conv.flops == 2 * (28 * 28 * 9 * 64 + 14 * 14 * 9 * 64 * 128 + 2 * 6272 * 512 + 512 * 1024
                              + 7 * 7 * 128 * 9 * 64 + 14 * 14 * 64 * 9)
    for found, count in ((ff, 1_892_384), (conv, 7_111_554)):
        assert found.parameters == sum(row.parameters for row in found.rows[1:]) == count
        assert found.flops == sum(row.flops for row in found.rows[1:])


def test_evaluation_needs_statistics(device):
    net = Net(device)
    net.eval()
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
    for (_, bn), expected in zip(batch_norms(net), reference_moments(net, device, x), strict=True):
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
