"""Batch norm, activation and max pooling in one: the numbers of one after the other."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import directional_error
from minivae.ops.batch_norm import ACTIVATIONS
from minivae.tensor import Tensor

# images, height, width, channels, size: few and many rows, one image, one channel, packs and remainders
SHAPES = [(1, 2, 2, 1, 2), (2, 4, 6, 3, 2), (3, 6, 6, 33, 3), (2, 8, 4, 64, 4), (9, 14, 14, 36, 2), (2, 3, 5, 5, 1)]


def _inputs(rng, shape, dtype):
    return [rng.standard_normal(s).astype(dtype) for s in (shape, shape[3], shape[3])]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_is_one_after_the_other(device, rng, shape, activation):
    """Value and gradients equal those of batch_norm and max_pool2d, in float64."""
    *shape, size = shape
    arrays = _inputs(rng, shape, np.float64)
    dy = device.from_host(rng.standard_normal((shape[0], int(np.prod(shape[1:])) // size**2)))
    found = []
    for f in (lambda *t: ops.batch_norm_pool2d(*t, activation=activation, size=size),
              lambda *t: ops.max_pool2d(ops.batch_norm(*t, activation=activation), size=size)):
        tensors = [Tensor(device.from_host(a), requires_grad=True) for a in arrays]
        y = f(*tensors)
        ops.mean(ops.squared_error(ops.reshape(y, shape=(shape[0], -1)), dy)).backward()
        found.append([device.to_host(a) for a in (y.data, *(t.grad for t in tensors))])
    for fused, composed in zip(*found, strict=True):
        np.testing.assert_allclose(fused, composed, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fixed_statistics(device, rng, shape):
    """With given moments: value and gradient, whose means drop out."""
    *shape, size = shape
    x, gamma, beta = _inputs(rng, shape, np.float64)
    fixed = device.from_host(np.stack([rng.standard_normal(shape[3]), rng.uniform(0.5, 2, shape[3])]))
    given = [device.from_host(a) for a in (x, gamma, beta)]
    fused = ops.batch_norm_pool2d(*given, activation="tanh", size=size, fixed=fixed)
    composed = ops.max_pool2d(ops.batch_norm(*given, activation="tanh", fixed=fixed), size=size)
    np.testing.assert_allclose(device.to_host(fused.data), device.to_host(composed.data), rtol=1e-9, atol=1e-12)
    target = device.from_host(rng.standard_normal((shape[0], int(np.prod(shape[1:])) // size**2)))
    assert directional_error(lambda *t: ops.mean(ops.squared_error(ops.reshape(ops.batch_norm_pool2d(
        *t, activation="tanh", size=size, fixed=fixed), shape=(shape[0], -1)), target)), [x, gamma, beta], device=device) < 1e-6


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient(device, rng, shape):
    """Finite differences in float64 with respect to x, gamma and beta."""
    *shape, size = shape
    target = device.from_host(rng.standard_normal((shape[0], int(np.prod(shape[1:])) // size**2)))
    assert directional_error(lambda *t: ops.mean(ops.squared_error(ops.reshape(ops.batch_norm_pool2d(
        *t, activation="softplus", size=size), shape=(shape[0], -1)), target)), _inputs(rng, shape, np.float64),
        device=device) < 1e-6


def test_float32_and_nan(device, rng):
    """Float32 is as close as a few hundred roundings allow, and NaN wins its channel."""
    x, gamma, beta = _inputs(rng, (4, 28, 28, 64), np.float32)
    given = [device.from_host(a) for a in (x, gamma, beta)]
    y = device.to_host(ops.batch_norm_pool2d(*given, activation="relu").data)
    exact = ops.max_pool2d(ops.batch_norm(*(device.from_host(a.astype(np.float64)) for a in (x, gamma, beta)), activation="relu"))
    np.testing.assert_allclose(y, device.to_host(exact.data), rtol=2e-5, atol=1e-5)
    x[0, 0, 0, 5] = np.nan
    y = device.to_host(ops.batch_norm_pool2d(device.from_host(x), *given[1:], activation="relu").data)
    assert np.isnan(y[..., 5]).all() and np.isfinite(np.delete(y, 5, axis=3)).all()


def test_misfits_are_named(device):
    gamma = device.zeros((3,), np.float32)
    with pytest.raises(ValueError, match=r"batch_norm_pool2d: windows of size 2 do not divide \(1, 3, 4, 3\)"):
        ops.batch_norm_pool2d(device.zeros((1, 3, 4, 3), np.float32), gamma, gamma)
    with pytest.raises(ValueError, match=r"batch_norm_pool2d: x \(1, 4, 4, 2\) needs gamma"):
        ops.batch_norm_pool2d(device.zeros((1, 4, 4, 2), np.float32), gamma, gamma)
