"""Minimal filtering: the numbers of the convolution itself, and the error that float32 makes of them."""

import numpy as np
import pytest
from convolutions import cost_of, reference

from minivae import ops
from minivae.check import directional_error
from minivae.ops import winograd
from minivae.tensor import Tensor

# images, height, width, channels, outputs, pad
CASES = [(1, 2, 3, 16, 16, 1), (2, 5, 7, 16, 17, 1), (3, 5, 6, 16, 64, 0), (9, 3, 6, 20, 16, 2), (2, 8, 3, 33, 16, 1)]


def _inputs(rng, case):
    n, h, width, c, o, pad = case
    return [rng.standard_normal((n, h, width, c)), rng.standard_normal((3, 3, c, o))], pad


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradient(device, rng, case, monkeypatch):
    (x, w), pad = _inputs(rng, case)
    taken = []
    monkeypatch.setattr(winograd, "convolve", lambda *a, f=winograd.convolve: taken.append(1) or f(*a))
    y = device.to_host(ops.conv2d(device.from_host(x), device.from_host(w), pad=pad).data)
    expected = reference(x, w, 1, pad)
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-11)
    assert taken
    cost = cost_of(device, rng, expected.shape)
    assert directional_error(lambda x, w: cost(ops.conv2d(x, w, pad=pad)), [x, w], device=device) < 1e-6


def test_float32_is_as_good_as_the_direct_product(fast_device, rng, monkeypatch):
    """The model's largest layer: within 3e-6 of the exact result, relative to its size, and no more than 10 times as far
    from it as the direct product in float32."""
    x, w = rng.standard_normal((2, 14, 14, 64)).astype(np.float32), rng.standard_normal((3, 3, 64, 128)).astype(np.float32)
    exact = reference(x, w, 1, 1)
    error = {}
    for fast in (True, False):
        monkeypatch.setattr(winograd, "suits", lambda *_, fast=fast: fast)
        y = fast_device.to_host(ops.conv2d(fast_device.from_host(x), fast_device.from_host(w), pad=1).data)
        error[fast] = np.abs(y - exact).max() / np.abs(exact).max()
    assert error[True] < 3e-6
    assert error[True] < 10 * error[False]


def test_gradients_in_float32(fast_device, rng):
    """Of the same layer: within 1e-5 of those in float64, relative to their size."""
    arrays = rng.standard_normal((2, 14, 14, 64)), 0.05 * rng.standard_normal((3, 3, 64, 128)), rng.standard_normal((2, 14 * 14 * 128))
    found = []
    for dtype in (np.float32, np.float64):
        x, w, target = (fast_device.from_host(a.astype(np.float32).astype(dtype)) for a in arrays)
        x, w = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
        ops.mean(ops.squared_error(ops.reshape(ops.conv2d(x, w, pad=1), shape=(2, -1)), target)).backward()
        found.append([fast_device.to_host(t.grad) for t in (x, w)])
    for single, double in zip(*found, strict=True):
        assert np.abs(single - double).max() < 1e-5 * np.abs(double).max()


def test_small_images_take_the_direct_way():
    """A tile of 4 x 4 outputs takes 36 multiplications; an image of 2 x 2 takes 36 by the definition."""
    w = np.zeros((3, 3, 64, 64))
    assert [winograd.suits(w, 1, size) for size in ((1, 1), (2, 2), (2, 3), (5, 1), (14, 14))] == [False, False, True, False, True]
    assert not winograd.suits(w, 2, (14, 14)) and not winograd.suits(w[:, :, :15], 1, (14, 14))
    assert not winograd.suits(np.zeros((5, 5, 64, 64)), 1, (14, 14))
