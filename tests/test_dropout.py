"""Dropout."""

import numpy as np
import pytest

from minivae import ops
from minivae.check import check_grad
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.tensor import Tensor
from minivae.work import elements


def test_share_and_scale(device):
    """About the rate is 0, the rest scaled; other steps, layers and seeds draw others, the same name the same."""
    x = Tensor(device.from_host(np.ones((3, 1367), np.float32)))
    draws = [ops.dropout(x, rate=0.25, noise=noise, layer=layer).numpy() for noise, layer in (
        (Noise(1, 2), 0), (Noise(1, 2), 0), (Noise(1, 3), 0), (Noise(1, 2), 1), (Noise(2, 2), 0), (Noise(1, 2, 1), 0))]
    assert set(np.unique(draws[0])) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((draws[0] == 0).mean() - 0.25) < 4 * (0.25 * 0.75 / 4101) ** 0.5
    np.testing.assert_array_equal(draws[0], draws[1])
    assert all(0.3 < ((draws[0] == 0) != (other == 0)).mean() < 0.45 for other in draws[2:])     # 0.375 where independent


@pytest.mark.parametrize("cols", [7, 64])
def test_the_words_that_decide(device, cols):
    """Element c of an example is kept where word c % 4 of Philox at (c / 4, example, step, stream) is small enough."""
    example, seed, step, layer = [5, 0, 1234567], 2**40 + 3, 9, 2
    quads = -(-cols // 4)
    counter = np.array([(q, e, step, 256 * (layer + 1) + 1) for e in example for q in range(quads)], np.uint32)
    key = np.tile(np.array([seed & 0xffffffff, seed >> 32], np.uint32), (len(counter), 1))
    words = device.empty((len(counter), 4), np.uint32)
    launch("philox_words", elements(len(counter)), device.from_host(counter), device.from_host(key), words, len(counter))
    expected = 2.0 * (device.to_host(words).reshape(3, -1)[:, :cols] < 2**31)
    ones, noise = device.from_host(np.ones((3, cols))), Noise(seed, step, 1)
    found = ops.dropout(ones, rate=0.5, noise=noise, example=example, layer=layer)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_noise_belongs_to_an_example(device):
    """In whatever row of whatever batch it stands; by default the row's number is the example's."""
    x, noise = np.ones((6, 2, 9), np.float32), Noise(1, 2)
    whole = ops.dropout(device.from_host(x), rate=0.5, noise=noise).numpy()
    some = np.array([4, 1, 5])
    for example in (some, [4, 1, 5], device.from_host(some.astype(np.int32))):
        part = ops.dropout(device.from_host(x[:3]), rate=0.5, noise=noise, example=example).numpy()
        np.testing.assert_array_equal(part, whole[some])


def test_same_on_every_device(device, cpu):
    """And in both dtypes."""
    x = np.ones((13, 79))
    for dtype in (np.float32, np.float64):
        a, b = (ops.dropout(d.from_host(x.astype(dtype)), rate=0.5, noise=Noise(3, 1)).numpy() for d in (device, cpu))
        np.testing.assert_array_equal(a, b)


def test_gradient(device, rng):
    """The backward pass draws the same again; a rate of 0 keeps all; nothing is fine."""
    report = check_grad(lambda t: ops.dropout(t, rate=0.4, noise=Noise(1, 1)), [rng.standard_normal((5, 7))], device=device)
    assert report, report
    x = np.ones(100, np.float32)
    np.testing.assert_array_equal(ops.dropout(device.from_host(x), rate=0, noise=Noise(1, 1)).numpy(), x)
    for shape in ((0, 3), (3, 0)):
        assert ops.dropout(device.zeros(shape, np.float32), rate=0.5, noise=Noise(1, 1)).shape == shape


def test_what_is_refused(device):
    with pytest.raises(ValueError, match="at least 0 and below 1, not 1"):
        ops.dropout(device.zeros((2,), np.float32), rate=1, noise=Noise(1, 1))
    with pytest.raises(ValueError, match=r"x of shape \(2, 3\) needs examples of shape \(2,\), got \(3,\)"):
        ops.dropout(device.zeros((2, 3), np.float32), rate=0.5, noise=Noise(1, 1), example=[1, 2, 3])
    with pytest.raises(ValueError, match=r"must have rows, one for each example, not shape \(\)"):
        ops.dropout(device.zeros((), np.float32), rate=0.5, noise=Noise(1, 1))
