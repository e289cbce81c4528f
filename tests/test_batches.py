"""Batches that mix labelled and unlabelled images."""

import numpy as np
import pytest

from minivae import data
from minivae.ops.reparameterize import Noise
from minivae.training import batches
from minivae.training.batches import labelled_rows


def _dataset(rng, count=60, classes=3):
    images, labels = rng.integers(0, 256, (count, 2, 3, 1), np.uint8), np.arange(count, dtype=np.uint8) % classes
    return data.Dataset("x", images, labels, images[:5], labels[:5])


@pytest.mark.parametrize(("labels", "expected"), [(0, 0), (3, 3), (6, 4), (12, 4), (30, 10), (45, 15), (60, 20)])
def test_a_batch_has_a_fixed_share_of_labels(device, rng, labels, expected):
    """A fifth, or more where more of all images are labelled; never an image twice. The rows' labels are those of their
    images, and pixels those of the images of that label."""
    dataset = _dataset(rng)
    mixed = batches.of(dataset, labels, 20, 4, device, np.float32)
    for number in range(7):
        x, example, y = map(device.to_host, mixed.batch(number, Noise(4, number)))
        assert y.sum() == expected == (example < labels).sum() and len(set(example)) == 20
        for row in range(20):
            where = np.flatnonzero((np.rint(x[row] * 255) == dataset.train_images.reshape(60, -1)).all(1))
            assert len(where) == 1 and (example[row] >= labels or y[row].argmax() == dataset.train_labels[where[0]])


def test_every_image_is_shown(device, rng):
    """Within its kind each image comes once before any comes again, where the rows divide them."""
    mixed = batches.of(_dataset(rng), 12, 20, 4, device, np.float32)
    shown = [device.to_host(mixed.batch(number, Noise(0, 0))[1]) for number in range(3)]
    known = np.concatenate([example[example < 12] for example in shown])
    unknown = np.concatenate([example[example >= 12] for example in shown])
    np.testing.assert_array_equal(np.sort(known), np.arange(12))
    np.testing.assert_array_equal(np.sort(unknown), np.arange(12, 60))
    again = device.to_host(mixed.batch(3, Noise(0, 0))[1])
    assert sorted(again) != sorted(shown[0])


def test_how_many_rows_are_labelled():
    """Never all, never none, never more than there are of either kind."""
    for count in (4, 10, 61):
        for labelled in range(1, count):
            for size in range(2, count + 1):
                rows = labelled_rows(count, labelled, size)
                assert 1 <= rows <= labelled and 1 <= size - rows <= count - labelled


def test_without_labels_all_is_as_before(device, rng):
    """A training that knows of no classes gets images and examples alone, in the epochs' own order."""
    plain = batches.of(_dataset(rng), None, 20, 4, device, np.float32)
    x, example = plain.batch(4, Noise(4, 4))
    theirs = plain.images.batch(20, 20, seed=4, epoch=1)
    for one, two in zip((x, example), theirs, strict=True):
        np.testing.assert_array_equal(device.to_host(one), device.to_host(two))
