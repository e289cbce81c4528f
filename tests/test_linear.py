"""Dense products: values, gradients, and the same bits for any number of threads."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad, directional_error
from minivae.tensor import Tensor

SHAPES = [(1, 1, 1), (3, 1, 5), (2, 3, 9000), (1, 7, 2), (17, 33, 5), (100, 64, 48)]
BIG = [(1000, 784, 512), (512, 1000, 784), (100, 512, 784), (784, 100, 512), (333, 1001, 257), (2000, 40, 30), (31, 999, 512)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("shape", SHAPES + BIG, ids=str)
def test_products_of_all_layouts(device, rng, shape, dtype, tolerance):
    """a b, a^T b, a b^T and views that are neither."""
    m, k, n = shape
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    da, db = device.from_host(a), device.from_host(b)
    at, bt = device.from_host(a.T.copy()).T, device.from_host(b.T.copy()).T
    strided = device.from_host(np.repeat(a, 2, 1))[:, ::2]
    for x, y in ((da, db), (at, db), (da, bt), (at, bt), (strided, db)):
        np.testing.assert_allclose(device.to_host(device.matmul(x, y)), exact, rtol=tolerance, atol=tolerance * k)


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("shape", [(1, 1, 1), (17, 33, 5), (100, 64, 48), (49, 520, 66)], ids=str)
def test_batches_of_products(device, rng, batch, shape):
    """Each matrix of a batch by its partner, in all layouts, and added to what is there."""
    m, k, n = shape
    a, b, c = (rng.standard_normal((batch, *s)) for s in ((m, k), (k, n), (m, n)))
    da, db = device.from_host(a), device.from_host(b)
    at, bt = (device.from_host(x.transpose(0, 2, 1).copy()).transpose(0, 2, 1) for x in (a, b))
    for x, y in ((da, db), (at, db), (da, bt), (at, bt)):
        np.testing.assert_allclose(device.to_host(device.matmul(x, y)), a @ b, rtol=1e-11, atol=1e-11)
        out = device.from_host(c)
        device.matmul(x, y, out=out, accumulate=True)
        np.testing.assert_allclose(device.to_host(out), c + a @ b, rtol=1e-11, atol=1e-11)


def test_batches_with_room_between_the_matrices(cpu, rng):
    """Factors and results whose matrices lie further apart than they are large; what lies between is left alone."""
    a, b, c = (cpu.from_host(rng.standard_normal(s)) for s in ((5, 9, 7), (5, 7, 40), (5, 11, 40)))
    before = cpu.to_host(c)
    cpu.matmul(a[:, :8], b, out=c[:, :8])
    np.testing.assert_allclose(c[:, :8], a[:, :8] @ b, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(c[:, 8:], before[:, 8:])
    with pytest.raises(ValueError, match="cannot multiply"):
        cpu.matmul(a[:, :8], b, out=c[:, 2:10].transpose(0, 1, 2)[:, :, ::-1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient(device, rng, shape):
    m, k, n = shape
    target = device.from_host(rng.standard_normal((m, n)))
    inputs = [rng.standard_normal((m, k)), rng.standard_normal((k, n))]
    assert directional_error(lambda x, w: ops.mean(ops.squared_error(ops.linear(x, w), target)), inputs,
                             device=device) < 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (5, 33), (2, 3, 64), (7,), (0, 3), (3, 0)], ids=str)
@pytest.mark.parametrize("outputs", [1, 35, 64])
def test_bias_and_leading_axes(device, rng, shape, outputs):
    """x w + b for x of any number of axes, as the sum of a product and a bias; gradients of all three."""
    x, w, b = (rng.standard_normal(s) for s in (shape, (shape[-1], outputs), (outputs,)))
    there = [device.from_host(a) for a in (x, w, b)]
    np.testing.assert_allclose(ops.linear(*there).numpy(), x @ w + b, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ops.linear(*there[:2]).numpy(), x @ w, rtol=1e-12, atol=1e-12)
    for inputs in ([x, w, b], [x, w]):
        report = check_grad(ops.linear, inputs, device=device)
        assert report, report


def test_gradients_go_where_they_belong(device, rng):
    """Into a leaf's own place, and only where one is wanted."""
    x, w, b = (Tensor(device.from_host(rng.standard_normal(s)), requires_grad=which, grad=device.zeros(s, np.float64))
               for s, which in (((2, 3, 4), True), ((4, 5), False), ((5,), True)))
    ops.sum(ops.linear(x, w, b)).backward()
    np.testing.assert_allclose(device.to_host(x.grad), np.broadcast_to(w.numpy().sum(1), (2, 3, 4)), rtol=1e-12)
    np.testing.assert_array_equal(device.to_host(b.grad), np.full(5, 6.0))
    assert w.grad is None and x.grad is x._grad


def test_a_bias_that_does_not_fit(device):
    x, w = device.zeros((2, 3), np.float32), device.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"a bias of shape \(3,\) for weights of shape \(3, 4\)"):
        ops.linear(x, w, device.zeros((3,), np.float32))


@pytest.mark.parametrize("shape", BIG, ids=str)
def test_same_bits_for_any_number_of_threads(cpu, threads, rng, shape):
    """Every element is summed in the same order, however many threads share the rows."""
    m, k, n = shape
    a, b = (cpu.from_host(rng.standard_normal(s).astype(np.float32)) for s in ((m, k), (k, n)))
    at, bt = (cpu.from_host(cpu.to_host(x).T.copy()).T for x in (a, b))
    results = []
    for count in (1, 2, 3, 5):
        threads(count)
        results.append([cpu.to_host(cpu.matmul(a, b)), cpu.to_host(cpu.matmul(at, b)), cpu.to_host(cpu.matmul(a, bt)),
                        cpu.to_host(cpu.matmul(np.stack([a, 2 * a, 3 * a]), np.stack([b, b, b])))])
    for other in results[1:]:
        for one, another in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, another)


def test_misfits_are_named(device):
    a = device.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"cannot multiply \(2, 3\) float32 by \(2, 3\) float32"):
        device.matmul(a, a)
    with pytest.raises(ValueError, match=r"\(2, 2, 3\) float32 by \(3, 3, 2\)"):
        device.matmul(device.zeros((2, 2, 3), np.float32), device.zeros((3, 3, 2), np.float32))
    with pytest.raises(ValueError, match="float64"):
        device.matmul(a, device.zeros((3, 2), np.float64))
    with pytest.raises(ValueError, match=r"into \(3, 3\)"):
        device.matmul(a, device.zeros((3, 2), np.float32), out=device.zeros((3, 3), np.float32))


def test_empty_products(device):
    assert device.matmul(device.zeros((0, 3), np.float32), device.zeros((3, 2), np.float32)).shape == (0, 2)
    zero = device.matmul(device.zeros((2, 0), np.float32), device.zeros((0, 2), np.float32))
    np.testing.assert_array_equal(device.to_host(zero), np.zeros((2, 2)))
