"""Functions of one number: NumPy's values and dtypes, gradients, edges."""

import math

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.tensor import Tensor

SHAPES = [(), (1,), (7,), (3, 5), (2, 3, 130), (0, 4)]
normal_below = np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)), otypes=[np.float64])
FUNCTIONS = {       # name: (ours, NumPy's, whether for positive numbers alone)
    "exp": (ops.exp, np.exp, False), "log": (ops.log, np.log, True), "sqrt": (ops.sqrt, np.sqrt, True),
    "tanh": (ops.tanh, np.tanh, False), "sigmoid": (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), False),
    "softplus": (ops.softplus, lambda x: np.logaddexp(0, x), False), "relu": (ops.relu, lambda x: np.maximum(x, 0), False),
    "leaky_relu": (lambda x: ops.leaky_relu(x, slope=0.2), lambda x: np.where(x < 0, 0.2 * x, x), False),
    "elu": (lambda x: ops.elu(x, alpha=1.5), lambda x: np.where(x < 0, 1.5 * np.expm1(x), x), False),
    "gelu": (ops.gelu, lambda x: x * normal_below(x), False), "hard_tanh": (ops.hard_tanh, lambda x: np.clip(x, -1, 1), False),
    "abs": (ops.abs, np.abs, False), "clip": (lambda x: ops.clip(x, low=-0.5, high=0.7), lambda x: np.clip(x, -0.5, 0.7), False),
    "negative": (ops.negative, np.negative, False), "3 - x": (lambda x: 3 - x, lambda x: 3 - x, False),
    "x - 3": (lambda x: x - 3, lambda x: x - 3, False), "2 x": (lambda x: 2 * x, lambda x: 2 * x, False),
    "x / 3": (lambda x: x / 3, lambda x: x / 3, False), "2 / x": (lambda x: 2 / x, lambda x: 2 / x, True),
    "x ** 2": (lambda x: x**2, lambda x: x**2, False), "x ** 3": (lambda x: x**3, lambda x: x**3, False),
    "x ** -0.5": (lambda x: x**-0.5, lambda x: x**-0.5, True), "2 ** x": (lambda x: 2**x, lambda x: 2**x, False),
    "0 ** x": (lambda x: 0.0**x, lambda x: 0.0**x, True),
    "maximum": (lambda x: ops.maximum(x, 0.25), lambda x: np.maximum(x, 0.25), False),
    "minimum": (lambda x: ops.minimum(0.25, x), lambda x: np.minimum(x, 0.25), False),
}


def _drawn(rng, shape, positive):
    return np.asarray(rng.uniform(0.3, 2, shape) if positive else rng.standard_normal(shape))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_dtypes(device, rng, name):
    """As NumPy in float64, to rounding; float32 stays float32, numbers take the tensor's dtype; empty and 0-d arrays too."""
    ours, exact, positive = FUNCTIONS[name]
    for shape in SHAPES:
        for dtype, tolerance in ((np.float32, 2e-6), (np.float64, 1e-14)):
            x = _drawn(rng, shape, positive).astype(dtype)
            y = ours(Tensor(device.from_host(x)))
            assert y.shape == shape and y.dtype == dtype
            np.testing.assert_allclose(y.numpy(), exact(x.astype(np.float64)), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(device, rng, name):
    """Finite differences, away from kinks by chance of the drawn numbers."""
    ours, _, positive = FUNCTIONS[name]
    for shape in ((), (3, 5), (67,)):
        report = check_grad(ours, [_drawn(rng, shape, positive)], device=device, step=1e-6)
        assert report, report


def test_nan_stays_nan(device):
    for name, (ours, _, _) in FUNCTIONS.items():
        assert np.isnan(ours(Tensor(device.from_host(np.full(5, np.nan, np.float32)))).numpy()).all(), name


def test_slopes_at_kinks(device):
    """What the docstrings promise: relu and abs 0, clip and hard_tanh 1, maximum with an equal number one half."""
    for function, at, slope in ((ops.relu, 0, 0), (ops.abs, 0, 0), (ops.hard_tanh, 1, 1),
                                (lambda x: ops.clip(x, low=0, high=1), 0, 1), (lambda x: ops.maximum(x, 2), 2, 0.5)):
        x = Tensor(device.from_host(np.full((1,), at, np.float32)), requires_grad=True)
        function(x).backward()
        assert device.to_host(x.grad) == slope


def test_whole_numbers_are_refused(device):
    with pytest.raises(TypeError, match="arrays must be float32 or float64|must be float32, got int32"):
        ops.exp(device.from_host(np.arange(3, dtype=np.int32)))
