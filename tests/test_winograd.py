"""Minimal filtering: the numbers of the convolution itself, and the error that float32 makes of them."""

import numpy as np
import pytest
from convolutions import cost_of, reference

from minivae import ops
from minivae.check import directional_error
from minivae.ops import winograd

# images, height, width, channels, outputs, pad
CASES = [(1, 1, 1, 16, 16, 1), (2, 5, 7, 16, 17, 1), (3, 4, 4, 16, 64, 0), (9, 3, 6, 20, 16, 2), (2, 8, 3, 33, 16, 1)]


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
    """The model's largest layer: within 1e-5 of the exact result, relative to its size; the direct product's error in
    float32 is of the same order."""
    x, w = rng.standard_normal((2, 14, 14, 64)).astype(np.float32), rng.standard_normal((3, 3, 64, 128)).astype(np.float32)
    exact = reference(x, w, 1, 1)
    error = {}
    for fast in (True, False):
        monkeypatch.setattr(winograd, "suits", lambda w, stride, fast=fast: fast)
        y = fast_device.to_host(ops.conv2d(fast_device.from_host(x), fast_device.from_host(w), pad=1).data)
        error[fast] = np.abs(y - exact).max() / np.abs(exact).max()
    assert error[True] < 3e-6
    assert error[True] < 10 * error[False]
