"""Dropout."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.ops.reparameterize import Noise
from minivae.tensor import Tensor


def test_share_and_scale(device):
    """About the rate is 0, the rest scaled; other steps, layers and seeds draw others, the same name the same."""
    x = Tensor(device.from_host(np.ones(4099, np.float32)))
    draws = [ops.dropout(x, rate=0.25, noise=noise, layer=layer).numpy() for noise, layer in (
        (Noise(1, 2), 0), (Noise(1, 2), 0), (Noise(1, 3), 0), (Noise(1, 2), 1), (Noise(2, 2), 0), (Noise(1, 2, 1), 0))]
    assert set(np.unique(draws[0])) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((draws[0] == 0).mean() - 0.25) < 4 * (0.25 * 0.75 / 4099) ** 0.5
    np.testing.assert_array_equal(draws[0], draws[1])
    assert all(0.3 < ((draws[0] == 0) != (other == 0)).mean() < 0.45 for other in draws[2:])     # 0.375 where independent


def test_same_on_every_device(device, cpu):
    """And in both dtypes."""
    x = np.ones(1027)
    for dtype in (np.float32, np.float64):
        a, b = (ops.dropout(d.from_host(x.astype(dtype)), rate=0.5, noise=Noise(3, 1)).numpy() for d in (device, cpu))
        np.testing.assert_array_equal(a, b)


def test_gradient(device, rng):
    """The backward pass draws the same again; a rate of 0 keeps all."""
    report = check_grad(lambda t: ops.dropout(t, rate=0.4, noise=Noise(1, 1)), [rng.standard_normal((5, 7))], device=device)
    assert report, report
    x = np.ones(100, np.float32)
    np.testing.assert_array_equal(ops.dropout(device.from_host(x), rate=0, noise=Noise(1, 1)).numpy(), x)


def test_rate_out_of_range(device):
    with pytest.raises(ValueError, match="at least 0 and below 1, not 1"):
        ops.dropout(device.zeros((2,), np.float32), rate=1, noise=Noise(1, 1))
