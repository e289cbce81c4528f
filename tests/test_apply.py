"""A trained model over many images or codes."""

import numpy as np
import pytest
from pages import data_set

from minivae import apply, models
from minivae.errors import UsageError
from minivae.evaluation import evaluate
from minivae.ops.batch import DeviceImages


def test_classes_as_numbers_and_as_shares(rng, cpu):
    """The whole of a class is that class; half of two is neither; what is no class is refused."""
    images = data_set(rng, train=8).train_images
    model = models.build("ff", (5, 6, 1), cpu, hidden=(8,), code=3, classes=3)
    evaluate.fix_statistics(model, DeviceImages(images, cpu))
    codes, labels = rng.normal(size=(3, 3)).astype(np.float32), np.array([0, 2, 1])
    whole = apply.decode(model, codes, labels)
    np.testing.assert_array_equal(apply.decode(model, codes, np.eye(3)[labels]), whole)
    mixed = apply.decode(model, codes, np.full((3, 3), [0.5, 0.5, 0.0]))
    assert all(np.abs(mixed - other).max() > 1e-3 for other in (whole, apply.decode(model, codes, np.zeros(3, int))))
    with pytest.raises(UsageError, match="label 3 is none of the model's classes"):
        apply.decode(model, codes, np.array([0, 1, 3]))


def test_draws_of_the_prior(device):
    """The same for the same seed, whatever their number; and the noise that encode --sample adds is one."""
    model = models.build("ff", (5, 6, 1), device, hidden=(8,), code=3)
    draws = apply.prior(model, 6, seed=4)
    assert draws.shape == (6, 3) and draws.dtype == np.float32 and len(np.unique(draws)) == 18
    np.testing.assert_array_equal(apply.prior(model, 2, seed=4), draws[:2])
    assert (apply.prior(model, 6, seed=5) != draws).all()
    zeros, ones = np.zeros((6, 3), np.float32), np.ones((6, 3), np.float32)
    np.testing.assert_array_equal(apply.draw(model, ones, zeros, 4), ones)
    np.testing.assert_array_equal(apply.draw(model, zeros, ones, 4), draws)
