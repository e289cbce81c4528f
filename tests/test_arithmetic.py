"""Sums and means."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import directional_error
from minivae.kernels import launch
from minivae.work import blocks, elements

SIZES = [1, 2, 3, 4, 5, 31, 33, 100, 1027, 5000, 100_001]


@pytest.mark.parametrize("n", SIZES)
def test_add_and_mean(device, rng, n):
    a, b = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
    y = ops.add(device.from_host(a), device.from_host(b))
    np.testing.assert_array_equal(device.to_host(y.data), a + b)
    np.testing.assert_allclose(ops.mean(y).item(), (a.astype(np.float64) + b).mean(), atol=2e-6)


@pytest.mark.parametrize("n", SIZES[:-1])
def test_gradient(device, rng, n):
    """d mean(a + b + a) / da = 2 / n: the op's gradient and finite differences agree."""
    inputs = [rng.standard_normal(n) for _ in range(2)]
    assert directional_error(lambda a, b: ops.mean(ops.add(ops.add(a, b), a)), inputs, device=device) < 1e-6


@pytest.mark.parametrize("n", SIZES)
def test_fill(device, n):
    y = device.empty((n,), np.float32)
    launch("fill", elements(n), device.from_host(np.float32([3])), y, n, 0.5)
    np.testing.assert_array_equal(device.to_host(y), np.full(n, 1.5, np.float32))


def test_mean_of_many_is_accurate(device):
    """Ten million equal values: one running float32 sum would be off by tenths of a percent and more."""
    x = device.from_host(np.full(10_000_000, 0.1, np.float32))
    np.testing.assert_allclose(ops.mean(x).item(), np.float32(0.1), rtol=1e-4)


def test_keep_score(device):
    """Means add up over the steps; the first step that is not finite is remembered."""
    totals = device.from_host(np.float32([0, 0, -1, 0]))
    for step, bad in enumerate([1.0, 2.0, np.nan, 3.0, np.inf]):
        a, b = device.from_host(np.float32([bad, 1])), device.from_host(np.float32([4, 6]))
        launch("keep_score", blocks(1), a, b, totals, 2, step)
        if step == 1:
            np.testing.assert_array_equal(device.to_host(totals), np.float32([2.5, 10, -1, 0]))
    assert device.to_host(totals)[2] == 2


def test_two_sums_in_one_block_do_not_mix(device, rng):
    """keep_score takes two sums one after the other: a warp that is ahead must not spoil the first for the rest."""
    a, b = rng.random(3000).astype(np.float32), 100 * rng.random(3000).astype(np.float32)
    for _ in range(8):
        totals = device.from_host(np.float32([0, 0, -1, 0]))
        launch("keep_score", blocks(1), device.from_host(a), device.from_host(b), totals, 3000, 0)
        np.testing.assert_allclose(device.to_host(totals)[:2], [a.mean(), b.mean()], rtol=1e-5)


def test_misfits_are_refused(device):
    with pytest.raises(ValueError, match=r"add: shapes \(2,\) and \(3,\) do not go together"):
        ops.add(device.zeros((2,), np.float32), device.zeros((3,), np.float32))
    with pytest.raises(ValueError, match="mean: no elements"):
        ops.mean(device.zeros((0,), np.float32))
