"""Indexing and embedding."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.tensor import Tensor

KEYS = [0, -1, slice(1, 3), (slice(None), 2), (..., 1), (None, 0), (slice(None, None, -2), slice(4, 0, -1)), [0, 2, 2], (slice(None), [1, 1, 0]),
        (..., [0, 3]), ([[0, 1], [2, 2]],), ([0, 1, 1], [2, 2, 2]), (slice(1, None), [0, 0], slice(None, 2)), (None, ..., [1, 1], slice(None)),
        (slice(0, 0),), ([],), (slice(None), [0, -1], [1, 1]), (2, 0, -1), (..., 1, 2, 3),
        (slice(None), np.array(1), slice(1, 3)), np.array(-1), ([], [])]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_as_numpy(device, rng, key):
    """Values, and gradients that add up over repeats; of a single element too, which NumPy makes a scalar of."""
    x = rng.standard_normal((3, 5, 4))
    key_of_numpy = tuple(np.asarray(k, int) if isinstance(k, list) else k for k in (key if isinstance(key, tuple) else (key,)))
    y = Tensor(device.from_host(x))[key]
    np.testing.assert_array_equal(y.numpy(), x[key_of_numpy], strict=True)
    if y.size:
        report = check_grad(lambda t: t[key], [x], device=device)
        assert report, report


def test_embedding(device, rng):
    """Rows of a table by labels, on the host or on the device; in float32 the same bits every time."""
    table, labels = rng.standard_normal((10, 16)).astype(np.float32), rng.integers(0, 10, (4, 33))
    weight = device.from_host(rng.standard_normal((4, 33, 16)).astype(np.float32))
    found = []
    for given in (labels, device.from_host(labels.astype(np.int32))):
        t = Tensor(device.from_host(table), requires_grad=True)
        y = ops.embedding(t, given)
        np.testing.assert_array_equal(y.numpy(), table[labels])
        y.backward(weight)
        found.append(device.to_host(t.grad))
    np.testing.assert_array_equal(*found)
    expected = np.zeros((10, 16))
    np.add.at(expected, labels, device.to_host(weight).astype(np.float64))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_out_of_range(device):
    """Named where the host knows the index; NaN where only a GPU does."""
    t = Tensor(device.zeros((3, 2), np.float32))
    with pytest.raises(IndexError, match="take: 0 to 3 leave 0 to 2"):
        ops.take(t, [0, 3])
    if device.cuda:
        y = ops.take(t, device.from_host(np.int32([0, 3]))).numpy()
        assert np.isnan(y[1]).all() and (y[0] == 0).all()


def test_small_dtypes_count_from_the_end(device, rng):
    """An axis may be longer than the index's dtype can say."""
    x = rng.standard_normal((2, 300))
    t, last = Tensor(device.from_host(x)), np.int8([-1, 5])
    np.testing.assert_array_equal(ops.take(t, last, 1).numpy(), x[:, last])
    np.testing.assert_array_equal(t[np.int8([-1, 0]), last].numpy(), x[np.int8([-1, 0]), last])


def test_other_keys_are_refused(device):
    """Masks hidden in lists too, and single numbers beside arrays, whatever they come as."""
    t = Tensor(device.zeros((3, 2), np.float32))
    for key in (True, 1.5, "a", np.array([True, False, True]), (0, [1]), (np.array(0), [1]), ([0], slice(None), [0]),
                ([True, False], [0, 1]), ([0.5], [1])):
        with pytest.raises(IndexError, match="index: "):
            t[key]
    with pytest.raises(IndexError):
        t[3]


def test_loops_over_the_first_axis_end(device):
    assert [row.shape for row in Tensor(device.zeros((3, 2), np.float32))] == [(2,)] * 3
