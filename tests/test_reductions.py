"""Sums, means, variances, maxima and log sum exp over any axes."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.sums import sum_over
from minivae.tensor import Tensor

CASES = [((5,), None), ((3, 4), 0), ((3, 4), -1), ((3, 4, 5), (0, 2)), ((2, 3, 4, 5), (1, 2)), ((2, 3, 4, 5), (0, 2)), ((), None),
         ((1, 1), 0), ((3, 1, 130), 2), ((700, 3), 0), ((3, 4), ())]
FUNCTIONS = {"sum": np.sum, "mean": np.mean, "var": np.var, "max": np.max,
             "logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_dtypes(device, rng, name):
    """As NumPy in float64; with and without keepdims, in both dtypes."""
    for shape, axis in CASES:
        x = np.asarray(rng.standard_normal(shape))
        for dtype, tolerance in ((np.float32, 5e-6), (np.float64, 1e-13)):
            for keepdims in (False, True):
                given = x.astype(dtype)
                y = getattr(ops, name)(Tensor(device.from_host(given)), axis=axis, keepdims=keepdims)
                expected = np.asarray(FUNCTIONS[name](given.astype(np.float64), axis=axis, keepdims=keepdims))
                assert y.dtype == dtype and y.shape == expected.shape, (shape, axis)
                np.testing.assert_allclose(y.numpy(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(device, rng, name):
    for shape, axis in CASES[:9]:
        report = check_grad(lambda x, axis=axis: getattr(ops, name)(x, axis=axis), [np.asarray(rng.standard_normal(shape))],
                            device=device, most=40)
        assert report, (shape, axis, report)


def test_extremes(device):
    """log sum exp does not overflow; the largest of NaN is NaN; its gradient goes to the first of equals."""
    x = Tensor(device.from_host(np.float32([1000, 1000, -1000, -np.inf])))
    assert ops.logsumexp(x).item() == pytest.approx(1000 + np.log(2))
    assert ops.logsumexp(Tensor(device.from_host(np.full(3, -np.inf, np.float32)))).item() == -np.inf
    assert np.isnan(ops.max(Tensor(device.from_host(np.float32([1, np.nan, 3])))).item())
    y = Tensor(device.from_host(np.float32([1, 3, 3, 2])), requires_grad=True)
    ops.max(y).backward()
    np.testing.assert_array_equal(device.to_host(y.grad), [0, 1, 0, 0])


def test_variance_far_from_zero(device):
    """Not from the squares: float32 numbers around 4096 that differ by halves."""
    x = np.float32(4096 + np.array([0, 0.5, 1.0, 1.5] * 50))
    assert ops.var(Tensor(device.from_host(x)), ddof=1).item() == pytest.approx(x.astype(np.float64).var(ddof=1), rel=1e-6)


def test_long_sums_are_cut(cpu, rng):
    """Rows and columns longer than a part: in float32 as exact as short sums are."""
    x = rng.random((2, 200_001)).astype(np.float32)
    np.testing.assert_allclose(sum_over(x, (1,))[:, 0], x.astype(np.float64).sum(1), rtol=1e-6)
    np.testing.assert_allclose(sum_over(np.ascontiguousarray(x.T), (0,))[0], x.astype(np.float64).sum(1), rtol=1e-6)


def test_empty(device):
    """Sums of nothing are 0; the others refuse."""
    empty = Tensor(device.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(ops.sum(empty, axis=0).numpy(), np.zeros(3, np.float32))
    assert ops.sum(empty).item() == 0 and ops.sum(empty, axis=1).shape == (0,)
    for name in ("mean", "var", "max", "logsumexp"):
        with pytest.raises(ValueError, match=f"{name}: no elements in shape"):
            getattr(ops, name)(empty, axis=0)


def test_axes_as_numpys_numbers(device):
    """They are whole numbers like others, also of a plan that is there already; a float is refused, whatever it equals."""
    x = Tensor(device.from_host(np.arange(6, dtype=np.float32).reshape(2, 3)))
    for name in ("sum", "mean", "var", "max", "logsumexp"):
        function = getattr(ops, name)
        for axis, like in ((np.int64(1), 1), (np.int8(-1), -1), ((np.int64(0), 1), (0, 1)), ([np.uint8(0)], 0)):
            np.testing.assert_array_equal(function(x, axis=axis).numpy(), function(x, axis=like).numpy())
        with pytest.raises(TypeError, match=f"{name}: 1.0 is no whole number"):
            function(x, axis=1.0)
    np.testing.assert_array_equal(ops.softmax(x, axis=np.int64(0)).numpy(), ops.softmax(x, axis=0).numpy())


def test_wrong_axes_are_named(device):
    x = Tensor(device.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="sum: there is no axis 2 in 2 dimensions"):
        ops.sum(x, axis=2)
    with pytest.raises(ValueError, match=r"max: axis \(0, -2\) names one twice"):
        ops.max(x, axis=(0, -2))
    with pytest.raises(ValueError, match="var: 3 elements are not more than ddof 3"):
        ops.var(x, axis=1, ddof=3)
