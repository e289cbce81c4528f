"""Images moved, mirrored and partly erased at random."""

import numpy as np
import pytest

from minivae import ops
from minivae.kernels import launch
from minivae.ops.reparameterize import Noise
from minivae.work import elements


def _words(device, example, noise):
    """Three words of Philox an example at (0, example, step, stream + 32), then two at (1, ...)."""
    counter = np.array([(i, e, noise.step, noise.stream + 32) for e in example for i in (0, 1)], np.uint32)
    key = np.tile(np.array([noise.seed & 0xffffffff, noise.seed >> 32], np.uint32), (len(counter), 1))
    words = device.empty((len(counter), 4), np.uint32)
    launch("philox_words", elements(len(counter)), device.from_host(counter), device.from_host(key), words, len(counter))
    return device.to_host(words).reshape(-1, 8)[:, [0, 1, 2, 4, 5]].astype(object)


@pytest.mark.parametrize("channels", [1, 3, 8])
@pytest.mark.parametrize(("mirror", "erase"), [(False, 0), (True, 0), (False, 2), (True, 3)])
def test_the_words_that_decide(device, rng, channels, mirror, erase):
    """Mirrored where the third word is large, then moved as the first two say; zeros come in, and are where the last two are."""
    images, shift, noise = rng.random((9, 6, 5, channels)) + 1, 2, Noise(2**40 + 3, 7, 1)
    example = rng.permutation(1000)[:9].astype(np.int32)
    found = device.to_host(ops.distort(device.from_host(images.reshape(9, -1)), device.from_host(example), noise,
                                       image_shape=images.shape[1:], shift=shift, mirror=mirror, erase=erase)).reshape(images.shape)
    moves, erased = set(), set()
    for image, y, (a, b, c, d, e) in zip(images, found, _words(device, example, noise), strict=True):
        down, right, turned = a * 5 >> 32, b * 5 >> 32, mirror and c >= 2**31
        padded = np.pad(image[:, ::-1] if turned else image, ((shift, shift), (shift, shift), (0, 0)))
        wanted, top, left = padded[down:down + 6, right:right + 5].copy(), (d * 6 >> 32) - erase // 2, (e * 5 >> 32) - erase // 2
        wanted[max(top, 0):top + erase, max(left, 0):left + erase] = 0
        np.testing.assert_array_equal(y, wanted)
        moves.add((down, right, turned))
        erased.add((top, left))
    assert len(moves) > 4 and len(erased) > 4


def test_all_moves_come_equally_often(device):
    """25 moves, each with and without a mirror, within 5 standard deviations."""
    image = np.arange(1, 26, dtype=np.float32).reshape(5, 5)
    x = device.from_host(np.tile(image.ravel(), (20_000, 1)))
    y = device.to_host(ops.distort(x, device.from_host(np.arange(20_000, dtype=np.int32)), Noise(1, 2), image_shape=(5, 5, 1),
                                   shift=2, mirror=True))
    seen, counts = np.unique(y, axis=0, return_counts=True)
    assert len(seen) == 50 and abs(counts - 400).max() < 5 * 20


def test_every_pixel_is_erased_as_often_as_its_place_allows(device):
    """Squares of 3 around any pixel of 5 x 5: a corner pixel is in those around 4 pixels, a border's in 6, others in 9."""
    x = device.from_host(np.ones((20_000, 25), np.float32))
    y = device.to_host(ops.distort(x, device.from_host(np.arange(20_000, dtype=np.int32)), Noise(1, 2), image_shape=(5, 5, 1),
                                   shift=0, erase=3))
    one = np.array([2, 3, 3, 3, 2])
    share = np.outer(one, one).ravel() / 25
    assert (abs((y == 0).mean(0) - share) < 5 * np.sqrt(share * (1 - share) / 20_000)).all()


def test_moves_belong_to_an_example(device, rng):
    """In whatever row of whatever batch it stands; another step moves it otherwise; no shift, no mirror and nothing erased change nothing."""
    x, example = rng.random((8, 49)).astype(np.float32), np.arange(8, dtype=np.int32)

    def moved(rows, noise=Noise(1, 2), shift=3, mirror=True, erase=2):
        return device.to_host(ops.distort(device.from_host(x[rows]), device.from_host(example[rows]), noise, image_shape=(7, 7, 1),
                                          shift=shift, mirror=mirror, erase=erase))

    whole, some = moved(example), np.array([4, 1, 5])
    np.testing.assert_array_equal(moved(some), whole[some])
    assert (moved(example, Noise(1, 3)) != whole).any() and (moved(example, Noise(2, 2)) != whole).any()
    np.testing.assert_array_equal(moved(example, shift=0, mirror=False, erase=0), x)


def test_same_on_every_device(device, cpu, rng):
    """And nothing is fine."""
    for dtype in (np.float32, np.float64):
        x, example = rng.random((6, 8 * 7 * 4)).astype(dtype), np.arange(6, dtype=np.int32)
        a, b = (d.to_host(ops.distort(d.from_host(x), d.from_host(example), Noise(3, 1), image_shape=(8, 7, 4), shift=3, mirror=True,
                                      erase=4)) for d in (device, cpu))
        np.testing.assert_array_equal(a, b)
    empty = ops.distort(device.zeros((0, 12), np.float32), device.zeros((0,), np.int32), Noise(0, 0), image_shape=(3, 4, 1), shift=1)
    assert empty.shape == (0, 12)


def test_what_is_refused(device):
    x, example = device.zeros((2, 12), np.float32), device.zeros((2,), np.int32)
    for shift in (-1, 3):
        with pytest.raises(ValueError, match=f"3 x 4 can be shifted by 0 to 2 pixels, not {shift}"):
            ops.distort(x, example, Noise(0, 0), image_shape=(3, 4, 1), shift=shift)
        with pytest.raises(ValueError, match=f"3 x 4 can be erased in squares of 0 to 2 pixels, not {shift}"):
            ops.distort(x, example, Noise(0, 0), image_shape=(3, 4, 1), shift=0, erase=shift)
    for wrong in ((x, device.zeros((3,), np.int32)), (device.zeros((2, 13), np.float32), example)):
        with pytest.raises(ValueError, match=r"images of 3 x 4 x 1 are \(rows, 12\) with examples"):
            ops.distort(*wrong, Noise(0, 0), image_shape=(3, 4, 1), shift=1)
