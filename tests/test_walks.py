"""Images on walks through the space of codes: those of the codes that latent.py gives, under the classes that were meant."""

import numpy as np
import pytest

from minivae import apply, latent, models
from minivae.errors import UsageError
from minivae.nn import batch_norms
from minivae.pictures import walks


@pytest.fixture(params=[(0, "shared"), (3, "shared"), (3, "m2")], ids=["plain", "shared", "m2"])
def model(request, device):
    """Untrained, but ready for use."""
    classes, semi = request.param
    made = models.build("ff", (4, 5, 1), device, hidden=(9, 7), code=4, classes=classes, semi=semi, likelihood="bernoulli")
    for _, norm in batch_norms(made):
        norm.moments = device.from_host(np.stack([np.zeros(norm.gamma.shape), np.ones(norm.gamma.shape)]).astype(np.float32))
    made.eval()
    return made


@pytest.fixture
def pair(rng):
    return rng.integers(0, 256, (2, 4, 5, 1), np.uint8)


def test_interpolation(model, pair):
    """The ends are reconstructions; the middle is that of the middle code, and of half of each class."""
    images = walks.interpolation(model, *pair, 5)
    np.testing.assert_allclose(images[[0, -1]], apply.reconstruct(model, pair)[1], atol=1e-6)
    codes = apply.encode(model, pair)[0]
    shares = np.eye(3)[apply.classify(model, pair).argmax(1)].mean(0, keepdims=True) if model.classes else None
    np.testing.assert_allclose(images[2], apply.decode(model, codes.mean(0, keepdims=True), shares)[0], atol=1e-6)
    arc = walks.interpolation(model, *pair, 5, spherical=True)
    np.testing.assert_allclose(arc[[0, -1]], images[[0, -1]], atol=1e-6)
    assert np.abs(arc[2] - images[2]).max() > 1e-4
    if model.classes:
        held = walks.interpolation(model, *pair, 5, label=2)
        np.testing.assert_allclose(held, apply.decode(model, latent.between(*codes, 5), np.full(5, 2)), atol=1e-6)


def test_traversal(model, pair):
    """Only the one number changes; its own value gives the image itself; without an image it starts at the prior's mean."""
    [code], own = apply.encode(model, pair[:1])[0], apply.classify(model, pair[:1]).argmax(1) if model.classes else None
    images = walks.traversal(model, pair[0], (3, 1), np.array([-2.0, code[3], 2]))
    assert images.shape == (2, 3, 4, 5, 1)
    np.testing.assert_allclose(images[0, 1], apply.decode(model, code[np.newaxis], own)[0], atol=1e-6)
    moved = code.copy()
    moved[1] = 2
    np.testing.assert_allclose(images[1, 2], apply.decode(model, moved[np.newaxis], own)[0], atol=1e-6)
    free, label = walks.traversal(model, None, (0,), np.array([0.0]))[0], np.array([0]) if model.classes else None
    np.testing.assert_allclose(free, apply.decode(model, np.zeros((1, 4), np.float32), label), atol=1e-6)
    with pytest.raises(UsageError, match="number 4 of a code of 4"):
        walks.traversal(model, None, (4,), np.zeros(1))
    if model.classes:
        one, two = (walks.traversal(model, pair[0], (3,), np.zeros(1), label) for label in (1, 2))
        assert np.abs(one - two).max() > 1e-4
        with pytest.raises(UsageError, match="label 3 is none of the model's classes"):
            walks.traversal(model, None, (0,), np.zeros(1), 3)
