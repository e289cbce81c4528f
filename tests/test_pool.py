"""Max pooling and perforated upsampling."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import directional_error
from minivae.tensor import Tensor

SHAPES = [(1, 2, 2, 1, 2), (2, 4, 6, 3, 2), (3, 6, 6, 33, 3), (1, 8, 4, 64, 4), (2, 3, 5, 5, 1), (4, 14, 14, 128, 2)]


def _flat(x):
    return ops.reshape(x, shape=(x.shape[0], -1))


def windows(x, size):
    n, h, w, c = x.shape
    return x.reshape(n, h // size, size, w // size, size, c).transpose(0, 1, 3, 2, 4, 5).reshape(
        n, h // size, w // size, size * size, c)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_max_pool(device, rng, shape):
    """Values, and a gradient that goes to the first of the largest."""
    *shape, size = shape
    x = rng.integers(0, 4, shape).astype(np.float32)     # many equals
    leaf = Tensor(device.from_host(x), requires_grad=True)
    y = ops.max_pool2d(leaf, size=size)
    np.testing.assert_array_equal(device.to_host(y.data), windows(x, size).max(3))
    ops.mean(_flat(y)).backward()
    first = windows(x, size).argmax(3)
    expected = (np.arange(size * size)[:, None] == first[..., None, :]) / y.data.size
    np.testing.assert_allclose(windows(device.to_host(leaf.grad), size), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradients(device, rng, shape):
    *shape, size = shape
    x = rng.standard_normal(shape)
    for f, out in ((ops.max_pool2d, x.size // size**2), (ops.average_pool2d, x.size // size**2), (ops.upsample2d, x.size * size**2)):
        target = device.from_host(rng.standard_normal((shape[0], out // shape[0])))
        assert directional_error(lambda t, f=f, target=target: ops.mean(ops.squared_error(_flat(f(t, size=size)), target)), [x],
                                 device=device) < 1e-6


def test_nan_wins(device):
    """A NaN anywhere in the window is its result; the gradient goes to the first NaN."""
    for place in range(4):
        x = np.array([3.0, 7.0, 1.0, 2.0], np.float32)
        x[place] = np.nan
        y = ops.max_pool2d(device.from_host(x.reshape(1, 2, 2, 1)))
        assert np.isnan(device.to_host(y.data)).all()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_upsample(device, rng, shape):
    *shape, size = shape
    x = rng.standard_normal(shape).astype(np.float32)
    expected = np.zeros((shape[0], shape[1] * size, shape[2] * size, shape[3]), np.float32)
    expected[:, ::size, ::size] = x
    np.testing.assert_array_equal(device.to_host(ops.upsample2d(device.from_host(x), size=size).data), expected)


def test_no_channels(device):
    """Images without channels are pooled to such images, there and back."""
    for f, sides in ((ops.max_pool2d, (1, 2)), (ops.average_pool2d, (1, 2)), (ops.upsample2d, (4, 8))):
        leaf = Tensor(device.zeros((3, 2, 4, 0), np.float32), requires_grad=True)
        y = f(leaf)
        assert y.shape == (3, *sides, 0)
        ops.sum(y).backward()
        assert leaf.grad.shape == leaf.shape


def test_misfits_are_named(device):
    with pytest.raises(ValueError, match=r"windows of size 2 do not divide \(1, 3, 4, 1\)"):
        ops.max_pool2d(device.zeros((1, 3, 4, 1), np.float32))
    with pytest.raises(ValueError, match="windows of size 17"):
        ops.max_pool2d(device.zeros((1, 17, 17, 1), np.float32), size=17)
    with pytest.raises(ValueError, match="takes"):
        ops.upsample2d(device.zeros((3, 4), np.float32))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_average_pool(device, rng, shape):
    *shape, size = shape
    x = rng.standard_normal(shape).astype(np.float32)
    np.testing.assert_allclose(ops.average_pool2d(device.from_host(x), size=size).numpy(), windows(x, size).mean(3), atol=1e-6)
