"""Noise: Philox's known answers, the normals made of it, and the keys."""

import numpy as np
import pytest

from minivae.kernels import launch
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.work import elements

# Random123's kat_vectors for philox4x32 with 10 rounds: counter, key, answer.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def _words(*texts):
    return np.array([[int(w, 16) for w in text.split()] for text in texts], np.uint32)


def philox(counter, key):
    """The same in NumPy, one 4-word counter and 2-word key a row."""
    c, k = counter.astype(np.uint64), key.astype(np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[:, 0], np.uint64(0xCD9E8D57) * c[:, 2]
        c = np.stack([(b >> np.uint64(32)) ^ c[:, 1] ^ k[:, 0], b & mask,
                      (a >> np.uint64(32)) ^ c[:, 3] ^ k[:, 1], a & mask], 1)
        k = (k + np.array([0x9E3779B9, 0xBB67AE85], np.uint64)) & mask
    return c.astype(np.uint32)


def _kernel(device, counter, key):
    words = device.empty(counter.shape, np.uint32)
    launch("philox_words", elements(len(counter)), device.from_host(counter), device.from_host(key), words, len(counter))
    return device.to_host(words)


def test_known_answers(device):
    """The kernel gives Random123's published words."""
    counters, keys, answers = (_words(*column) for column in zip(*KNOWN, strict=True))
    np.testing.assert_array_equal(_kernel(device, counters, keys), answers)
    np.testing.assert_array_equal(philox(counters, keys), answers)


@pytest.mark.parametrize("count", [1, 7, 33, 1000])
def test_every_pack_width_gives_the_same_words(device, rng, count):
    """Counts that leave every kind of remainder agree with the NumPy statement."""
    counter = rng.integers(0, 2**32, (count, 4), np.uint32)
    key = rng.integers(0, 2**32, (count, 2), np.uint32)
    np.testing.assert_array_equal(_kernel(device, counter, key), philox(counter, key))


def normals(rows, codes, noise, first=0):
    """Box and Muller's transform of the same words, in float64."""
    quads = -(-codes // 4)
    counter = np.zeros((rows * quads, 4), np.uint32)
    counter[:, 0] = np.tile(np.arange(quads), rows)
    counter[:, 1] = np.repeat(np.arange(first, first + rows), quads)
    counter[:, 2:] = noise.step, noise.stream
    key = np.tile(np.array([noise.seed & 0xFFFFFFFF, noise.seed >> 32], np.uint32), (len(counter), 1))
    words = philox(counter, key).reshape(-1, 2, 2).astype(np.float64)
    radius, angle = np.sqrt(-2 * np.log((words[..., 0] + 0.5) / 2**32)), 2 * np.pi * words[..., 1] / 2**32
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(rows, 4 * quads)[:, :codes]


@pytest.mark.parametrize("codes", [1, 2, 3, 4, 5, 8, 31, 32, 33, 384])
def test_normals_are_box_muller_of_philox(device, codes):
    """Each element's noise depends on its key alone, whatever pack it is computed in; tolerance: float32
    rounding of the angle, 2 pi 2^-24, times the largest radius, 6.7."""
    noise = Noise(seed=2**40 + 12345, step=7, stream=2)
    z = standard_normal(device, 5, codes, noise, first=100)
    np.testing.assert_allclose(device.to_host(z), normals(5, codes, noise, 100), atol=4e-6, rtol=1e-5)


def test_float64_build_draws_the_same_noise(device):
    """The gradient tests see exactly the noise that float32 training sees."""
    draws = [device.to_host(standard_normal(device, 6, 37, Noise(3, 1), dtype)) for dtype in (np.float32, np.float64)]
    np.testing.assert_array_equal(draws[0].astype(np.float64), draws[1])


def test_normals_have_the_normal_distribution(device):
    """Mean, variance, skewness, kurtosis and tails of a million draws, each within five standard errors."""
    z = device.to_host(standard_normal(device, 1000, 1000, Noise(1, 0))).astype(np.float64).ravel()
    n = z.size
    assert abs(z.mean()) < 5 / n**0.5
    assert abs(z.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs((z**3).mean()) < 5 * (15 / n) ** 0.5
    assert abs((z**4).mean() - 3) < 5 * (96 / n) ** 0.5
    tail = 0.0026997961            # P(|z| > 3)
    assert abs((abs(z) > 3).mean() - tail) < 5 * (tail / n) ** 0.5


@pytest.mark.parametrize("other", [Noise(1, 1), Noise(2, 0), Noise(1, 0, 1), Noise(1 + 2**32, 0)])
def test_every_part_of_the_key_matters(device, other):
    """Another seed (either half), step or stream gives noise that is not correlated."""
    a = device.to_host(standard_normal(device, 100, 100, Noise(1, 0)))
    b = device.to_host(standard_normal(device, 100, 100, other))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.05
