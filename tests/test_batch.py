"""Batches: the shuffle is a permutation, pixels are scaled, ranges are checked."""

import numpy as np
import pytest

from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import Noise, standard_normal


def _order(device, count, seed, epoch):
    images = DeviceImages(np.zeros((count, 1, 1, 1), np.uint8), device)
    return device.to_host(images.batch(0, count, seed=seed, epoch=epoch)[1])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4000, 70_000])
def test_shuffle_is_a_permutation(device, count):
    """Every image comes exactly once an epoch, for counts at and beside powers of four."""
    np.testing.assert_array_equal(np.sort(_order(device, count, seed=2**63 + 5, epoch=3)), np.arange(count))


def test_orders_differ(device):
    """Another epoch or another seed is another order, hardly correlated; the same is the same."""
    a = _order(device, 5000, 1, 0)
    np.testing.assert_array_equal(a, _order(device, 5000, 1, 0))
    for other in (_order(device, 5000, 1, 1), _order(device, 5000, 2, 0), _order(device, 5000, 1 + 2**32, 0),
                  np.arange(5000)):
        assert abs(np.corrcoef(a, other)[0, 1]) < 0.07      # five standard errors


def test_shuffle_spreads_evenly(device):
    """Over 2,000 epochs each of 5 images is in each of 5 places about 400 times: chi-squared over 16 degrees
    of freedom stays below its 99.99% point."""
    counts = np.zeros((5, 5))
    for epoch in range(2000):
        counts[np.arange(5), _order(device, 5, 7, epoch)] += 1
    assert ((counts - 400) ** 2 / 400).sum() < 44.6


def test_any_place_can_be_visited_at_once(device):
    """Batches taken one by one, or in another order, are pieces of the same epoch."""
    images = DeviceImages(np.zeros((100, 2, 2, 1), np.uint8), device)
    whole = device.to_host(images.batch(0, 100, seed=1, epoch=9)[1])
    piece = device.to_host(images.batch(37, 20, seed=1, epoch=9)[1])
    np.testing.assert_array_equal(piece, whole[37:57])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (5, 7, 3), (28, 28, 1), (3, 11, 1)], ids=str)
def test_pixels(device, rng, shape, dtype):
    """x is the uint8 image divided by 255, row by row the image that `example` names."""
    images = rng.integers(0, 256, (50, *shape), np.uint8)
    x, example = map(device.to_host, DeviceImages(images, device, dtype).batch(3, 40, seed=4, epoch=1))
    expected = images.reshape(50, -1)[example].astype(dtype) / dtype(255)
    np.testing.assert_allclose(x, expected, rtol=2e-7 if dtype == np.float32 else 1e-15)
    assert x.dtype == dtype and x.min() >= 0 and x.max() <= 1


def test_plain_order_and_ranges(device):
    images = DeviceImages(np.zeros((10, 1, 1, 1), np.uint8), device)
    np.testing.assert_array_equal(device.to_host(images.batch(4, 5)[1]), np.arange(4, 9))
    assert images.ranges(4) == [(0, 3), (3, 3), (6, 4)] and images.ranges(5) == [(0, 5), (5, 5)]
    assert images.ranges(4, 6) == [(0, 3), (3, 3)] and images.ranges(4, 1) == [(0, 1)]
    for start, size in ((-1, 2), (9, 2), (0, 11)):
        with pytest.raises(ValueError, match="of a set of 10"):
            images.batch(start, size)


@pytest.mark.parametrize("pixels", [1, 3, 7, 64, 100])
def test_binarized_pixels_are_draws_of_their_own(device, pixels):
    """Black stays black and white white; a pixel between is white as often as its value says, within five standard
    errors; another step, example or seed is another draw, and codes' noise of the same name an independent one."""
    values = np.array([0, 1, 64, 128, 254, 255], np.uint8)
    images = np.broadcast_to(values[:, None, None], (6, 1000, pixels)).reshape(6000, 1, pixels, 1)
    drawn = DeviceImages(images, device, binarize=True)
    x = device.to_host(drawn.batch(0, 6000, Noise(3, 1))[0])
    assert set(np.unique(x)) == {0.0, 1.0}
    p, n = values / 255, 1000 * pixels
    assert (np.abs(x.reshape(6, -1).mean(1) - p) <= 5 * np.sqrt(p * (1 - p) / n)).all()
    grey = x[3000:4000]
    for other in (Noise(3, 2), Noise(4, 1), Noise(3, 1, 1)):
        again = device.to_host(drawn.batch(3000, 1000, other)[0])
        assert abs(np.corrcoef(grey.ravel(), again.ravel())[0, 1]) < 5 / np.sqrt(n)
    np.testing.assert_array_equal(device.to_host(drawn.batch(3500, 10, Noise(3, 1))[0]), x[3500:3510])
    eps = device.to_host(standard_normal(device, 1000, pixels, Noise(3, 1), first=3000))
    assert abs(np.corrcoef(grey.ravel(), eps.ravel())[0, 1]) < 5 / np.sqrt(n)


def test_a_set_that_begins_at_a_later_example(device, rng):
    """Its examples count from there, and its pixels are those of the same examples in the whole set."""
    images = rng.integers(0, 256, (20, 3, 5, 1), np.uint8)
    whole, rest = (DeviceImages(images[first:], device, binarize=True, first=first) for first in (0, 12))
    for one, two in zip(whole.batch(14, 6, Noise(1, 1)), rest.batch(2, 6, Noise(1, 1)), strict=True):
        np.testing.assert_array_equal(device.to_host(one), device.to_host(two))


def test_a_batch_into_a_place(device, rng):
    images = DeviceImages(rng.integers(0, 256, (20, 2, 2, 1), np.uint8), device)
    x, example = device.zeros((8, 4), np.float32), device.zeros((8,), np.int32)
    images.batch(3, 4, into=(x[4:], example[4:]))
    np.testing.assert_array_equal(device.to_host(x[4:]), device.to_host(images.batch(3, 4)[0]))
    np.testing.assert_array_equal(device.to_host(example), [0, 0, 0, 0, 3, 4, 5, 6])


def test_a_part_of_a_set(device, rng):
    """Its images and examples are those of the range, shuffled among themselves, binarized as in the whole."""
    images = rng.integers(0, 256, (21, 3, 5, 1), np.uint8)
    whole = DeviceImages(images, device, binarize=True, first=100)
    part = whole.part(4, 19).part(1, 12)
    x, example = map(device.to_host, part.batch(0, 11, Noise(2, 3), seed=1, epoch=2))
    np.testing.assert_array_equal(np.sort(example), np.arange(105, 116))
    assert (example != np.arange(105, 116)).any()
    every = device.to_host(whole.batch(0, 21, Noise(2, 3))[0])
    np.testing.assert_array_equal(x, every[example - 100])
    for begin, end in ((-1, 3), (4, 3), (0, 12)):
        with pytest.raises(ValueError, match="of a set of 11"):
            part.part(begin, end)


@pytest.mark.parametrize("binarize", [False, True])
@pytest.mark.parametrize("pixels", [1, 7, 64, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_kept_as_they_are(device, rng, dtype, pixels, binarize):
    """A set of floats gives them unrounded, and drawn as bytes of the same values are."""
    bytes_ = rng.integers(0, 256, (50, pixels, 1, 1), np.uint8)
    floats = bytes_.astype(dtype) / dtype(255)
    one, two = (DeviceImages(images, device, dtype, binarize=binarize).batch(3, 40, Noise(3, 1), seed=4, epoch=1)
                for images in (bytes_, floats))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(device.to_host(a), device.to_host(b))
    fine = rng.random((8, pixels, 1, 1)).astype(dtype)
    x, _ = DeviceImages(fine, device, dtype).batch(0, 8)
    np.testing.assert_array_equal(device.to_host(x), fine.reshape(8, pixels))
