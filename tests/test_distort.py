"""Images moved and mirrored at random."""

import numpy as np
import pytest

from minivae import ops
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.work import elements


def _words(device, example, noise):
    """Three words of Philox an example, at (0, example, step, stream + 32)."""
    counter = np.array([(0, e, noise.step, noise.stream + 32) for e in example], np.uint32)
    key = np.tile(np.array([noise.seed & 0xffffffff, noise.seed >> 32], np.uint32), (len(counter), 1))
    words = device.empty((len(counter), 4), np.uint32)
    launch("philox_words", elements(len(counter)), device.from_host(counter), device.from_host(key), words, len(counter))
    return device.to_host(words)[:, :3].astype(object)


@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize("mirror", [False, True])
def test_the_words_that_decide(device, rng, channels, mirror):
    """Mirrored where the third word is large, then moved as the first two say; zeros come in."""
    images, shift, noise = rng.random((9, 6, 5, channels)) + 1, 2, Noise(2**40 + 3, 7, 1)
    example = rng.permutation(1000)[:9].astype(np.int32)
    found = device.to_host(ops.distort(device.from_host(images.reshape(9, -1)), device.from_host(example), noise,
                                       image_shape=images.shape[1:], shift=shift, mirror=mirror)).reshape(images.shape)
    moves = set()
    for image, y, (a, b, c) in zip(images, found, _words(device, example, noise), strict=True):
        down, right, turned = a * 5 >> 32, b * 5 >> 32, mirror and c >= 2**31
        padded = np.pad(image[:, ::-1] if turned else image, ((shift, shift), (shift, shift), (0, 0)))
        np.testing.assert_array_equal(y, padded[down:down + 6, right:right + 5])
        moves.add((down, right, turned))
    assert len(moves) > 4


def test_all_moves_come_equally_often(device):
    """25 moves, each with and without a mirror, within 5 standard deviations."""
    image = np.arange(1, 26, dtype=np.float32).reshape(5, 5)
    x = device.from_host(np.tile(image.ravel(), (20_000, 1)))
    y = device.to_host(ops.distort(x, device.from_host(np.arange(20_000, dtype=np.int32)), Noise(1, 2), image_shape=(5, 5, 1),
                                   shift=2, mirror=True))
    seen, counts = np.unique(y, axis=0, return_counts=True)
    assert len(seen) == 50 and abs(counts - 400).max() < 5 * 20


def test_moves_belong_to_an_example(device, rng):
    """In whatever row of whatever batch it stands; another step moves it otherwise; no shift and no mirror change nothing."""
    x, example = rng.random((8, 49)).astype(np.float32), np.arange(8, dtype=np.int32)

    def moved(rows, noise=Noise(1, 2), shift=3, mirror=True):
        return device.to_host(ops.distort(device.from_host(x[rows]), device.from_host(example[rows]), noise, image_shape=(7, 7, 1),
                                          shift=shift, mirror=mirror))

    whole, some = moved(example), np.array([4, 1, 5])
    np.testing.assert_array_equal(moved(some), whole[some])
    assert (moved(example, Noise(1, 3)) != whole).any() and (moved(example, Noise(2, 2)) != whole).any()
    np.testing.assert_array_equal(moved(example, shift=0, mirror=False), x)


def test_same_on_every_device(device, cpu, rng):
    """And nothing is fine."""
    for dtype in (np.float32, np.float64):
        x, example = rng.random((6, 8 * 7 * 4)).astype(dtype), np.arange(6, dtype=np.int32)
        a, b = (d.to_host(ops.distort(d.from_host(x), d.from_host(example), Noise(3, 1), image_shape=(8, 7, 4), shift=3, mirror=True))
                for d in (device, cpu))
        np.testing.assert_array_equal(a, b)
    empty = ops.distort(device.zeros((0, 12), np.float32), device.zeros((0,), np.int32), Noise(0, 0), image_shape=(3, 4, 1), shift=1)
    assert empty.shape == (0, 12)


def test_what_is_refused(device):
    x, example = device.zeros((2, 12), np.float32), device.zeros((2,), np.int32)
    for shift in (-1, 3):
        with pytest.raises(ValueError, match=f"3 x 4 can be shifted by 0 to 2 pixels, not {shift}"):
            ops.distort(x, example, Noise(0, 0), image_shape=(3, 4, 1), shift=shift)
    for wrong in ((x, device.zeros((3,), np.int32)), (device.zeros((2, 13), np.float32), example)):
        with pytest.raises(ValueError, match=r"images of 3 x 4 x 1 are \(rows, 12\) with examples"):
            ops.distort(*wrong, Noise(0, 0), image_shape=(3, 4, 1), shift=1)
