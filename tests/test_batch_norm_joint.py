"""Batch norm over the rows of several processes: what one process with all rows computes."""

from functools import partial

import numpy as np
import pytest
from threads_group import together

from minivae import ops
from minivae.ops.batch_norm import EPSILON
from minivae.tensor import Tensor

# examples, rows of each, channels: few and many rows, one an example, uneven parts, packs and remainders
SHAPES = [(5, 1, 1), (7, 1, 33), (64, 1, 32), (9, 4, 5), (11, 300, 3), (2100, 1, 7), (40, 64, 64)]


def _all(device, arrays, group=None, part=slice(None), pool=1):
    """(y, dx, dgamma, dbeta) on the host of rows `part`."""
    x, gamma, beta, dy = arrays
    x, gamma, beta = (Tensor(device.from_host(np.ascontiguousarray(a)), requires_grad=True) for a in (x[part], gamma, beta))
    settings = {"activation": "softplus", **({"group": group} if group else {})}
    layer = partial(ops.batch_norm_pool2d, size=pool) if pool > 1 else ops.batch_norm
    y = layer(x, gamma, beta, **settings)
    y.backward(device.from_host(np.ascontiguousarray(dy[part])))
    return [device.to_host(a) for a in (y.data, x.grad, gamma.grad, beta.grad)]


def _joined(device, arrays, size, pool=1):
    """The same of several processes: rows one below the other, gradients of parameters added up."""
    count = len(arrays[0])

    def work(group):
        begin, end = group.take(count)
        return _all(device, arrays, group, slice(begin, end), pool)

    y, dx, dgamma, dbeta = zip(*together(size, work), strict=True)
    return [np.concatenate(y), np.concatenate(dx), sum(dgamma), sum(dbeta)]


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_is_one_process_with_all_rows(device, rng, shape, size):
    """Value and gradients, in float64, for parts that differ in size; a mean far from zero included."""
    x, dy = rng.standard_normal((2, *shape))
    arrays = x + 50 * rng.standard_normal(shape[2]), *rng.standard_normal((2, shape[2])), dy
    for whole, joined in zip(_all(device, arrays), _joined(device, arrays, size), strict=True):
        np.testing.assert_allclose(joined, whole, rtol=1e-8, atol=1e-9 * np.abs(whole).max())


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("shape", [(4, 4, 6, 5), (7, 8, 8, 64), (3, 2, 2, 1)], ids=str)
def test_with_pooling(device, rng, shape, size):
    small = (shape[0], shape[1] // 2, shape[2] // 2, shape[3])
    arrays = rng.standard_normal(shape), *rng.standard_normal((2, shape[3])), rng.standard_normal(small)
    for whole, joined in zip(_all(device, arrays, pool=2), _joined(device, arrays, size, pool=2), strict=True):
        np.testing.assert_allclose(joined, whole, rtol=1e-8, atol=1e-9 * np.abs(whole).max())


def test_far_from_zero_in_float32(device, rng):
    """Mean 1e4 and deviation 1, first rows that differ: as right as a single process is, where absolute means would be wrong
    by a thousandth."""
    x = (1e4 + rng.standard_normal((600, 3))).astype(np.float32)
    exact = x.astype(np.float64)
    exact = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + EPSILON)

    def work(group):
        begin, end = group.take(len(x))
        given = [device.from_host(a) for a in (x[begin:end], np.ones(3, np.float32), np.zeros(3, np.float32))]
        return device.to_host(ops.batch_norm(*given, group=group).data)

    np.testing.assert_allclose(np.concatenate(together(3, work)), exact, atol=1e-4)


def test_two_small_collectives_a_layer(cpu, rng):
    """One forward, one backward, of a few numbers a channel; none with statistics that are given."""
    arrays = rng.standard_normal((20, 6)), *rng.standard_normal((2, 6)), rng.standard_normal((20, 6))

    def work(group):
        begin, end = group.take(20)
        _all(cpu, arrays, group, slice(begin, end))
        ops.batch_norm(*(cpu.from_host(a) for a in arrays[:3]), fixed=cpu.from_host(np.ones((2, 6))), group=group)
        return group.calls

    assert together(2, work) == [[("gather", (3, 6)), ("sum", (1, 2, 6))]] * 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_in_one_process_is_seen_in_all(device, rng, bad):
    x = rng.standard_normal((9, 4)).astype(np.float32)
    x[8, 2] = bad

    def work(group):
        begin, end = group.take(9)
        given = [device.from_host(a) for a in (x[begin:end], np.ones(4, np.float32), np.zeros(4, np.float32))]
        return device.to_host(ops.batch_norm(*given, group=group).data)

    for y in together(3, work):
        assert np.isnan(y[:, 2]).all() and np.isfinite(np.delete(y, 2, axis=1)).all()


def test_the_mean_over_a_batch(device, rng):
    """Value and gradient of a function of it that is not linear are those of one process: what free bits are."""
    x = rng.standard_normal((11, 5))

    def cost(rows, group, weight):
        leaf = Tensor(device.from_host(np.ascontiguousarray(rows)), requires_grad=True)
        total = ops.sum(ops.maximum(ops.batch_mean(leaf**2, group), 0.9))
        total.backward(device.from_host(np.full((), weight)))
        return float(device.to_host(total.data)), device.to_host(leaf.grad)

    def work(group):
        begin, end = group.take(len(x))
        return cost(x[begin:end], group, group.part)

    (whole, gradient), = together(1, lambda group: cost(x, group, 1.0))
    costs, gradients = zip(*together(3, work), strict=True)
    assert costs == pytest.approx([whole] * 3, rel=1e-12)
    np.testing.assert_allclose(np.concatenate(gradients), gradient, rtol=1e-12)
