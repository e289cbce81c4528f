"""Functions of two numbers, with broadcasting."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.device import cpu as cpu_device
from minivae.tensor import Tensor

PAIRS = [((3, 5), (3, 5)), ((3, 5), (5,)), ((3, 1), (3, 5)), ((), (4,)), ((2, 1, 3, 1), (4, 1, 5)), ((1, 1), (1,)),
         ((0, 3), (3,)), ((6, 1), (1, 130)), ((2, 1, 3, 1, 2, 1), (1, 4, 1, 2, 1, 3)), ((512,), (1,)), ((2, 8192), (2, 1))]
FUNCTIONS = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "power": np.power,
             "maximum": np.maximum, "minimum": np.minimum}


def _drawn(rng, name, *shapes):
    return [np.asarray(rng.uniform(0.5, 2, s) if name in ("divide", "power") else rng.standard_normal(s)) for s in shapes]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_dtypes(device, rng, name):
    for a, b in PAIRS:
        for dtype, tolerance in ((np.float32, 1e-6), (np.float64, 1e-14)):
            x, y = (v.astype(dtype) for v in _drawn(rng, name, a, b))
            z = getattr(ops, name)(*(Tensor(device.from_host(v)) for v in (x, y)))
            assert z.dtype == dtype
            np.testing.assert_allclose(z.numpy(), FUNCTIONS[name](x, y), rtol=tolerance, atol=tolerance, strict=True)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(device, rng, name):
    """Of both, summed over what broadcasting repeated."""
    for a, b in PAIRS[:-2]:
        report = check_grad(getattr(ops, name), _drawn(rng, name, a, b), device=device, step=1e-6, most=40)
        assert report, (a, b, report)


def test_only_what_is_wanted(device, rng):
    """A constant operand gets no gradient, and the other one's is right."""
    a, b = rng.standard_normal((3, 4)), rng.standard_normal(4)
    for swapped in (False, True):
        report = check_grad(lambda x, swapped=swapped: ops.multiply(*((device.from_host(b), x) if swapped else (x, device.from_host(b)))),
                            [a], device=device)
        assert report, report


def test_operators(device, rng):
    """Each operator and its reflected form, with tensors, arrays and numbers."""
    a, b = rng.uniform(1, 2, (2, 3)), rng.uniform(1, 2, (3,))
    x, y, array = Tensor(device.from_host(a)), Tensor(device.from_host(b)), device.from_host(b)
    for got, expected in ((x + y, a + b), (x - array, a - b), (x * y, a * b), (x / y, a / b), (x**y, a**b), (-x, -a),
                          (1 + x, 1 + a), (1 - x, 1 - a), (2 * x, 2 * a), (2 / x, 2 / a), (2**x, 2**a), (x @ y, a @ b),
                          (x + np.float32(1), a + 1), (x.T, a.T), (x[1], a[1])):
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)
    if not device.cuda:
        np.testing.assert_allclose((array - x).numpy(), b - a)


def test_equals_share_the_gradient(device):
    for f in (ops.maximum, ops.minimum):
        a, b = (Tensor(device.from_host(np.ones(3)), requires_grad=True) for _ in range(2))
        ops.sum(f(a, b)).backward()
        np.testing.assert_array_equal(device.to_host(a.grad), 0.5)
        np.testing.assert_array_equal(device.to_host(b.grad), 0.5)


def test_nan_wins(device):
    for x, y in ((np.nan, 1), (1, np.nan)):
        for f in (ops.maximum, ops.minimum):
            assert np.isnan(f(*(Tensor(device.from_host(np.full(3, v, np.float32))) for v in (x, y))).numpy()).all()


def test_where(device, rng):
    """Values and gradients, all three broadcast; numbers and bytes too."""
    mask, a, b = rng.random((3, 1)) < 0.5, rng.standard_normal((3, 4)), rng.standard_normal(4)
    on_device = device.from_host(mask)
    x, y = (Tensor(device.from_host(v)) for v in (a, b))
    np.testing.assert_array_equal(ops.where(on_device, x, y).numpy(), np.where(mask, a, b))
    np.testing.assert_array_equal(ops.where(on_device, 0.5, y).numpy(), np.where(mask, 0.5, b))
    np.testing.assert_array_equal(ops.where(on_device.view(np.uint8), x, 2).numpy(), np.where(mask, a, 2))
    report = check_grad(lambda s, t: ops.where(on_device, s, t), [a, b], device=device)
    assert report, report
    with pytest.raises(TypeError, match="must be an array of bool or uint8, not float64"):
        ops.where(x, x, y)


def test_misfits_are_named(device):
    a, b = (Tensor(device.zeros((n,), np.float32)) for n in (2, 3))
    with pytest.raises(ValueError, match=r"multiply: shapes \(2,\) and \(3,\) do not go together"):
        a * b
    with pytest.raises(TypeError, match="add: inputs of float32 and float64; nothing is promoted silently"):
        a + Tensor(device.zeros((2,), np.float64))


def test_mixed_devices_are_named(simt):
    on_cpu = Tensor(cpu_device().zeros((2,), np.float32))
    with pytest.raises(TypeError, match="add: inputs on cpu and cuda:0"):
        Tensor(simt.zeros((2,), np.float32)) + on_cpu


@pytest.mark.parametrize("n", [5, 9, 100, 1003])
def test_where_of_every_remainder(device, rng, n):
    """In float32, where packs of 8 are left over: a compiler once made zeros of some lanes."""
    mask = rng.random(n) < 0.5
    a, b = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
    x, y = (Tensor(device.from_host(v), requires_grad=True) for v in (a, b))
    found = ops.where(device.from_host(mask), x, y)
    np.testing.assert_array_equal(found.numpy(), np.where(mask, a, b))
    dy = rng.standard_normal(n).astype(np.float32)
    found.backward(device.from_host(dy))
    np.testing.assert_array_equal(device.to_host(x.grad), np.where(mask, dy, 0))
    np.testing.assert_array_equal(device.to_host(y.grad), np.where(mask, 0, dy))
