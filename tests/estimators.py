"""What the tests of the estimator share: a few digits, and small models that are trained on them once for each module."""

import numpy as np
import pytest
from data_sets import some_digits

from minivae.estimator import VAE

SMALL = {"hidden": (24, 12), "code": 6, "epochs": 2, "batch_size": 20}


@pytest.fixture(scope="module")
def digits():
    """100 of the digits to train on, 30 to test with; labels in both."""
    return some_digits(100, 30)


@pytest.fixture(scope="module")
def vae(digits):
    """Trained on the CPU, for tests that leave it as it is."""
    return VAE(**SMALL, device="cpu").fit(digits.train_images, validation=digits.test_images, progress=False)


@pytest.fixture(scope="module")
def labelled(digits):
    """The same with the labels of 50 images, the others' withheld."""
    y = np.where(np.arange(100) < 50, digits.train_labels.astype(int), -1)
    return VAE(**SMALL, device="cpu").fit(digits.train_images, y, (digits.test_images, digits.test_labels), progress=False)
