"""minivae.VAE refuses what it cannot use: in one line that names what is wrong and the fix, and nothing is changed."""

import re
import types

import numpy as np
import pytest
from estimators import SMALL, digits, labelled, vae  # noqa: F401  (fixtures)

from minivae.errors import MinivaeWarning, UsageError
from minivae.estimator import VAE
from minivae.training.trainer import Diverged

X = np.zeros((10, 28, 28), np.uint8)
BAD_IMAGES = [
    (X[0, 0], UsageError, r"X is of shape \(28,\)"), (X[0], UsageError, r"\(count, 784\); a single image is X\[None\]"),
    (X[:, :27], UsageError, r"X is of shape \(10, 27, 28\), but must be \(count, 28, 28\), \(count, 28, 28, 1\) or"),
    (X[:0], UsageError, r"X is empty, of shape \(0, 28, 28, 1\)"),
    (X.astype(int), TypeError, r"X is of int64.*astype\('uint8'\)"),
    (X.astype(complex), TypeError, "X is of complex128"), (X.astype(str), TypeError, "X is of <U3"),
    (X + np.nan, UsageError, "X holds NaN or infinite numbers, the first in image 0"),
    (X + np.inf, UsageError, "NaN or infinite"),
    (X + 1.5, UsageError, r"X has numbers from 1.5 to 1.5, but floats must lie in \[0, 1\]: scale them, as with X / 1.5"),
    (X - 0.5, UsageError, "X has numbers from -0.5 to -0.5"), (X - np.eye(28), UsageError, r"as with \(X - X.min\(\)\) / \(X.max\(\) - X.min\(\)\)"),
    (types.SimpleNamespace(__cuda_array_interface__={}), TypeError, "an array on a GPU.*cupy.asnumpy")]


@pytest.mark.parametrize("bad", BAD_IMAGES, ids=[words for _, _, words in BAD_IMAGES])
def test_bad_images(vae, bad):
    """One line that names the array, what is wrong and the fix, in every method, and a ValueError or a TypeError."""
    array, kind, words = bad
    for call in (vae.encode, vae.reconstruct, vae.score):
        with pytest.raises(kind, match=words) as caught:
            call(array)
        said = str(caught.value)
        assert isinstance(caught.value, (ValueError, TypeError)) and "\n" not in said and "--" not in said


BAD_CALLS = [
    (lambda v: v.decode(np.zeros(6)), UsageError, r"Z is of shape \(6,\), but codes of this model are \(count, 6\)"),
    (lambda v: v.decode(np.full((2, 6), np.nan)), UsageError, "the first in code 0"),
    (lambda v: v.decode(np.full((2, 6), "x")), TypeError, "codes are real numbers"),
    (lambda v: v.sample(0), UsageError, "n is 0"), (lambda v: v.sample(2.5), UsageError, "n is 2.5"),
    (lambda v: v.interpolate(X[0], X[0], 1), UsageError, "steps is 1, but must be a whole number, at least 2"),
    (lambda v: v.interpolate(X[0], X[0], 2.5), UsageError, "steps is 2.5"),
    (lambda v: v.interpolate(X, X), UsageError, "X is of shape"),
    (lambda v: v.interpolate(X[0], X[0], label=1), UsageError, "label takes a model that knows of classes"),
    (lambda v: v.export("."), UsageError, "already holds other files"),
    (lambda v: v.sample(2, seed=-1), UsageError, "seed is -1"),
    (lambda v: v.score(X, seed=2**64), UsageError, "seed is 1844"),
    (lambda v: v.sample(2, label=1), UsageError, "label takes a model that knows of classes"),
    (lambda v: v.classify(X), UsageError, "classify takes a model that knows of classes"),
    (lambda v: v.score(X, np.zeros(10, int)), UsageError, "y takes a model"),
    (lambda v: VAE().encode(X), UsageError, r"not trained yet: call fit\(X\) first, or take VAE.load\(path\)"),
    (lambda v: VAE().save("nowhere"), UsageError, "not trained yet"),
    (lambda v: VAE().sample(), UsageError, "not trained yet"),
    (lambda v: VAE.load("no/such/folder"), UsageError, "there is no run in no/such/folder"),
    (lambda v: VAE(device="cpu").fit(X, np.zeros(10)), TypeError, "y is of float64, but labels are whole numbers"),
    (lambda v: VAE("gan"), ValueError, "arch = 'gan' is none of ff, conv"),
    (lambda v: VAE(code="12"), ValueError, "code = '12' is no int"),
    (lambda v: VAE(image_shape=784), UsageError, r"image_shape is 784, but must be \(height, width\)")]


BAD_CALLS += [
    (lambda v: VAE(device=None), UsageError, 'device is None, but must be "auto", "cpu"'),
    (lambda v: VAE.load("x", device=0), UsageError, "device is 0"),
    (lambda v: v.encode([X[0], X[0, :5]]), UsageError, "X is no array: its entries are of several shapes"),
    (lambda v: VAE(device="cpu").fit(X, [[1], [2, 3]]), UsageError, "y is no array")]


@pytest.mark.parametrize("bad", BAD_CALLS, ids=[words for _, _, words in BAD_CALLS])
def test_bad_calls(vae, bad):
    call, kind, words = bad
    with pytest.raises(kind, match=words) as caught:
        call(vae)
    assert isinstance(caught.value, (ValueError, TypeError))


FIT = {"X": X}
BAD_FITS = [
    ({}, {"X": X[:1]}, "there are too few training images in arrays: 1"), ({}, {"X": X[:0]}, "X is empty"),
    ({}, {"X": X.reshape(10, 784)}, r"\(count, pixels\) of a VAE with image_shape="),
    ({"image_shape": (28, 29)}, FIT, r"X is of shape \(10, 28, 28\), but must be \(count, 28, 29\)"),
    ({"batch_size": 11}, FIT, "^batch_size is 11, but there are 10 training images in arrays; take at most 10$"),
    ({"epochs": 0}, FIT, "^epochs is 0"), ({"learning_rate": -1.0}, FIT, "^learning_rate is -1"),
    ({"kl_warm_up": 9.0, "epochs": 2}, FIT, "^kl_warm_up is 9 epochs"),
    ({"optimizer": "newton"}, FIT, "^optimizer is newton"),
    ({"sigma": 0.1}, FIT, "^sigma belongs to likelihood gaussian"), ({"hidden": ()}, FIT, "^hidden is empty"),
    ({"device": "tpu"}, FIT, "unknown device 'tpu'"), ({"arch": "conv", "channels": (2, 2, 2)}, FIT, "take at most 2 channels$"),
    ({}, {**FIT, "validation": X[:, :27]}, r"validation is of shape \(10, 27, 28\)"),
    ({}, {**FIT, "validation": X[:0]}, "validation is empty"), ({}, {**FIT, "y": np.full(10, -1)}, "y has no label at all"),
    ({}, {**FIT, "y": np.zeros(9, int)}, r"y is of shape \(9,\), but must have a label for each of 10 images"),
    ({}, {**FIT, "y": np.full(10, -2)}, "y holds -2"), ({}, {**FIT, "y": np.zeros(10, int)}, "at least 2"),
    ({}, {**FIT, "validation": (X, np.zeros(10, int))}, "validation has labels, but y is not given"),
    ({}, {**FIT, "y": np.arange(10), "validation": (X, np.full(10, -1))}, "every image needs its label"),
    ({}, {**FIT, "y": np.arange(10), "validation": [X, np.full(10, -1)]}, "every image needs its label"),
    ({}, {**FIT, "validation": (X, np.zeros(10, int), 3)}, "validation has 3 entries, but must be images, or a pair"),
    ({}, {**FIT, "validation": (X,)}, "validation has 1 entries"),
    ({}, {**FIT, "validation": [X, 3]}, "validation is no array")]


@pytest.mark.parametrize("bad", BAD_FITS, ids=[words for _, _, words in BAD_FITS])
def test_bad_fits(bad):
    """Settings are named as Python's arguments, not as the command line's options; nothing is trained."""
    arguments, given, words = bad
    vae = VAE(**{"device": "cpu", **arguments})
    with pytest.raises(UsageError, match=words) as caught:
        vae.fit(**given, progress=False)
    assert isinstance(caught.value, ValueError) and "--" not in str(caught.value) and vae.history == []


def test_a_failed_fit_changes_nothing(digits):
    vae = VAE(**SMALL, device="cpu").fit(digits.train_images, progress=False)
    before, history = vae.encode(digits.test_images), vae.history
    vae.learning_rate = 1e30
    with pytest.warns(MinivaeWarning), pytest.raises(Diverged, match="try learning_rate 2.7e"):
        vae.fit(digits.train_images, progress=False)
    np.testing.assert_array_equal(vae.encode(digits.test_images), before, strict=True)
    assert vae.history is history


def test_labels_that_are_no_class(labelled):
    """In words, whatever the number is."""
    classes = labelled.model.classes
    for label in (0.5, 10**20, classes, -1, True):
        words = re.escape(f"label {label!r} is none of the model's classes 0 to {classes - 1}")
        for call in (lambda: labelled.sample(2, label), lambda: labelled.interpolate(X[0], X[0], label=label),
                     lambda: labelled.decode(np.zeros((2, 6)), label)):
            with pytest.raises(UsageError, match=words):
                call()
