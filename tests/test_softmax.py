"""Softmax, its logarithm, and the cross-entropy."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.tensor import Tensor


def log_softmax(x, axis=-1):
    return x - x.max(axis, keepdims=True) - np.log(np.exp(x - x.max(axis, keepdims=True)).sum(axis, keepdims=True))


@pytest.mark.parametrize(("shape", "axis"), [((5,), -1), ((3, 4), 0), ((2, 3, 130), 1), ((2, 64), -1), ((0, 3), 1)])
def test_softmax(device, rng, shape, axis):
    x = rng.standard_normal(shape)
    for dtype, tolerance in ((np.float32, 2e-6), (np.float64, 1e-13)):
        t = Tensor(device.from_host(x.astype(dtype)))
        np.testing.assert_allclose(ops.log_softmax(t, axis=axis).numpy(), log_softmax(x, axis) if x.size else x, tolerance, tolerance)
        np.testing.assert_allclose(ops.softmax(t, axis=axis).numpy(), np.exp(log_softmax(x, axis)) if x.size else x, tolerance,
                                   tolerance)
    for f in (ops.softmax, ops.log_softmax):
        report = check_grad(lambda t, f=f: f(t, axis=axis), [x], device=device, most=40)
        assert report, report


def test_nothing_overflows(device):
    x = Tensor(device.from_host(np.float32([[1000, 0, -1000]])))
    np.testing.assert_array_equal(ops.softmax(x).numpy(), [[1, 0, 0]])
    np.testing.assert_array_equal(ops.log_softmax(x).numpy(), [[0, -1000, -2000]])
    np.testing.assert_array_equal(ops.cross_entropy(x, [2]).numpy(), [2000])


@pytest.mark.parametrize(("count", "classes"), [(1, 1), (7, 10), (3, 128)])
def test_cross_entropy(device, rng, count, classes):
    """By labels and by probabilities, which need not sum to 1."""
    x, labels, p = rng.standard_normal((count, classes)), rng.integers(0, classes, count), rng.random((count, classes))
    t = Tensor(device.from_host(x))
    expected = -log_softmax(x)[np.arange(count), labels]
    for given in (labels, labels.tolist(), device.from_host(labels.astype(np.int32))):
        np.testing.assert_allclose(ops.cross_entropy(t, given).numpy(), expected, atol=1e-13)
    on_device = device.from_host(p)
    np.testing.assert_allclose(ops.cross_entropy(t, on_device).numpy(), -(p * log_softmax(x)).sum(1), rtol=1e-12, atol=1e-13)
    for target in (labels, on_device):
        report = check_grad(lambda s, target=target: ops.cross_entropy(s, target), [x], device=device, most=40)
        assert report, report


def test_misfits_are_named(device):
    x = Tensor(device.zeros((2, 3), np.float32))
    with pytest.raises(IndexError, match="cross_entropy: 0 to 3 leave 0 to 2"):
        ops.cross_entropy(x, [0, 3])
    with pytest.raises(ValueError, match=r"need labels of shape \(2,\), got \(3,\)"):
        ops.cross_entropy(x, [0, 1, 2])
    with pytest.raises(ValueError, match=r"logits of shape \(2, 3\) and probabilities of shape \(3,\)"):
        ops.cross_entropy(x, device.zeros((3,), np.float32))
    for target in (0, device.zeros((), np.float32)):
        with pytest.raises(ValueError, match="cross_entropy: .*(no classes|no axis -1)"):
            ops.cross_entropy(Tensor(device.zeros((), np.float32)), target)
    with pytest.raises(ValueError, match=r"no gradient goes to the target; give its detach\(\)"):
        ops.cross_entropy(x, Tensor(device.zeros((2, 3), np.float32), requires_grad=True))
