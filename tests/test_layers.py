"""Plain layers: what they compute, their gradients, their modes, their state, their first weights."""

import numpy as np
import pytest
from convolutions import reference

from minivae import ops
from minivae.check import check_grad
from minivae.errors import MinivaeError
from minivae.nn import Conv2d, Dropout, Embedding, Flatten, Linear, Sequential, noise, summarize
from minivae.tensor import Tensor


def filled(module, rng):
    """Random numbers for all parameters, loaded and returned: no bias stays at 0."""
    values = {name: rng.standard_normal(p.shape) for name, p in module.named_parameters()}
    module.load_state_dict(values)
    return values


def check_layer(layer, device, *inputs):
    """Gradients with respect to what comes in and to all parameters of a layer."""
    values = {name: device.to_host(p.data) for name, p in layer.named_parameters()}

    def f(*tensors):
        for name, tensor in zip(values, tensors[len(inputs):], strict=True):
            setattr(layer, name, tensor)
        return layer(*tensors[:len(inputs)])

    report = check_grad(f, [*inputs, *values.values()], device=device)
    assert report and report.checked > 0, report


@pytest.mark.parametrize("shape", [(1, 3), (7, 33), (2, 3, 5)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(device, rng, shape, bias):
    """x W + b for rows and for batches of rows, and its gradients."""
    layer = Linear(shape[-1], 4, rng, device, np.float64, bias=bias)
    values, x = filled(layer, rng), rng.standard_normal(shape)
    expected = x @ values["weight"] + values.get("bias", 0)
    np.testing.assert_allclose(layer(device.from_host(x)).numpy(), expected, rtol=1e-12, atol=1e-12)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"][:1 + bias]
    check_layer(layer, device, x)


@pytest.mark.parametrize(("size", "stride", "pad", "kept"), [(3, 1, None, True), (5, 2, 1, False), (1, 1, None, True)])
@pytest.mark.parametrize("bias", [True, False])
def test_conv2d(device, rng, size, stride, pad, kept, bias):
    """x * W + b by the definition, and its gradients; unless told otherwise the image keeps its size."""
    layer = Conv2d(3, 4, rng, device, np.float64, size=size, stride=stride, pad=pad, bias=bias)
    values, x = filled(layer, rng), rng.standard_normal((2, 7, 6, 3))
    expected = reference(x, values["weight"], stride, size // 2 if pad is None else pad) + values.get("bias", 0)
    assert (expected.shape[1:3] == (7, 6)) is kept
    np.testing.assert_allclose(layer(device.from_host(x)).numpy(), expected, rtol=1e-11, atol=1e-11)
    check_layer(layer, device, x)


def test_embedding(device, rng):
    """Rows by label, several times the same; the gradients of a row add up."""
    layer = Embedding(5, 3, rng, device, np.float64)
    table, labels = filled(layer, rng)["weight"], np.array([[4, 0], [4, 1], [4, 2]])
    np.testing.assert_array_equal(layer(labels).numpy(), table[labels])
    ops.sum(layer(labels)).backward()
    np.testing.assert_array_equal(device.to_host(layer.weight.grad), np.outer([1, 1, 1, 0, 3], np.ones(3)))
    layer.weight.clear_grad()

    def f(table):
        layer.weight = table
        return layer(labels)

    report = check_grad(f, [table], device=device)
    assert report, report


def test_first_weights(cpu):
    """Uniform by Glorot's rule, with a convolution's taps counted; N(0, 1) for embeddings; biases 0; from the generator."""
    for make, limit in ((lambda rng: Linear(300, 200, rng, cpu), np.sqrt(6 / 500)),
                        (lambda rng: Conv2d(30, 50, rng, cpu), np.sqrt(6 / (9 * 80)))):
        layer, same, other = (make(np.random.default_rng(seed)) for seed in (1, 1, 2))
        w = layer.weight.data
        assert w.dtype == np.float32 and abs(w).max() <= np.float32(limit)
        assert w.std() == pytest.approx(limit / np.sqrt(3), rel=0.03) and abs(w.mean()) < limit / 50
        assert not layer.bias.data.any()
        assert (w == same.weight.data).all() and (w != other.weight.data).any()
    table = Embedding(300, 200, np.random.default_rng(1), cpu).weight.data
    assert table.std() == pytest.approx(1, rel=0.02) and abs(table.mean()) < 0.02


def test_dropout_modes(device):
    """In use nothing happens; in training the noise is that of its name, and each layer has its own."""
    net, x = Sequential(Dropout(0.5), Dropout(0.5)), Tensor(device.from_host(np.ones((8, 100))))

    def draw(*name):
        with noise(*name):
            first = net.layers[0](x).numpy()
            return first, net.layers[1](x).numpy()

    (one, two), (again, _), (other, _) = draw(1, 2), draw(1, 2), draw(1, 3)
    assert set(np.unique(one)) == {0.0, 2.0}
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and (one != two).any()
    shifted, _ = draw(1, 2, [3, 1, 2, 0, 4, 5, 6, 7])
    np.testing.assert_array_equal(shifted, one[[3, 1, 2, 0, 4, 5, 6, 7]])
    net.eval()
    assert net(x) is x
    net.train()
    with noise(1, 2):
        np.testing.assert_array_equal(net(x).numpy(), one * two)
    assert Dropout(0)(x) is x


def test_gradient_of_dropout(device, rng):
    """The scale and the choice go back the way that they came."""
    net = Sequential(Linear(6, 5, rng, device, np.float64), ops.relu, Dropout(0.4))

    def f(x):
        with noise(1, 2, [4, 2, 3]):
            return net(x)

    report = check_grad(f, [rng.standard_normal((3, 6))], device=device)
    assert report, report


def test_noise_without_a_name_is_refused(cpu):
    """Also after a context that failed; and contexts may stand in each other."""
    x, layer = cpu.zeros((2, 3), np.float32), Dropout(0.5)
    with pytest.raises(MinivaeError, match=r"within 'with nn\.noise\(seed, step\):', or call eval\(\)"):
        layer(x)
    with pytest.raises(KeyError), noise(1, 2):
        raise KeyError
    with pytest.raises(MinivaeError, match="nobody said which"):
        layer(x)
    ones = Tensor(np.ones((4, 64)))
    with noise(1, 2):
        first = layer(ones).numpy()
        with noise(1, 2):
            np.testing.assert_array_equal(layer(ones).numpy(), first)
        assert (layer(ones).numpy() != first).any()
    with pytest.raises(ValueError, match="at least 0 and below 1, not 1.5"):
        Dropout(1.5)


def small(device, rng):
    """One of each layer, operations and functions between them."""
    return Sequential(Conv2d(1, 2, rng, device), ops.relu, lambda x: ops.max_pool2d(x, size=2), Flatten(), Dropout(0.3),
                      Linear(8, 5, rng, device), ops.tanh, Linear(5, 3, rng, device, bias=False))


def test_state_round_trip(device):
    """Names by place; another net with the same state computes the same; what does not fit is named."""
    a, b = (small(device, np.random.default_rng(seed)) for seed in (1, 2))
    x = device.from_host(np.random.default_rng(3).random((2, 4, 4, 1), np.float32))
    a.eval(), b.eval()
    names = ["0.weight", "0.bias", "5.weight", "5.bias", "7.weight"]
    state = {name: device.to_host(value) for name, value in a.state_dict().items()}
    assert list(state) == names
    assert (a(x).numpy() != b(x).numpy()).any()
    b.load_state_dict(state)
    np.testing.assert_array_equal(a(x).numpy(), b(x).numpy())
    del state["0.bias"]
    state |= {"7.bias": np.zeros(3, np.float32), "5.weight": state["5.weight"].T}
    with pytest.raises(MinivaeError, match=r"missing 0\.bias; unexpected 7\.bias; 5\.weight is \(5, 8\)"):
        b.load_state_dict(state)


def test_summary(device):
    """Each layer's output, parameters and arithmetic; operations in between count for the whole."""
    net = small(device, np.random.default_rng(0))
    net.eval()
    rows = summarize(net, device.zeros((2, 4, 4, 1), np.float32)).rows
    assert [(row.kind, row.shape, row.parameters, row.flops) for row in rows] == [
        ("Sequential", (2, 3), 20 + 45 + 15, 2 * 2 * (16 * 18 + 40 + 15)), ("Conv2d", (2, 4, 4, 2), 20, 2 * 2 * 16 * 18),
        ("Flatten", (2, 8), 0, 0), ("Dropout", (2, 8), 0, 0), ("Linear", (2, 5), 45, 160), ("Linear", (2, 3), 15, 60)]
