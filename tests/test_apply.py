"""A trained model over many images or codes."""

import numpy as np
import pytest
from pages import data_set

from minivae import apply, evaluate, models
from minivae.errors import UsageError
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
