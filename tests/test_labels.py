"""Which images keep their labels: as many of each class, by the seed."""

import numpy as np
import pytest

from minivae.data.dataset import first_of_each
from minivae.errors import UsageError
from minivae.training.labels import choose, matrix

LABELS = np.repeat(np.arange(4, dtype=np.uint8), (10, 7, 12, 9))[np.random.default_rng(0).permutation(38)]


@pytest.mark.parametrize("count", [4, 5, 7, 12, 28])
def test_evenly_of_each_class(count):
    """No class has more than one label more than another; none twice, and in order."""
    chosen = choose(LABELS, count, 3)
    sizes = np.bincount(LABELS[chosen], minlength=4)
    assert len(chosen) == count and sizes.max() - sizes.min() == (count % 4 > 0)
    assert (np.diff(chosen) > 0).all()


def test_by_the_seed():
    """The same seed gives the same images, another seed others; which classes have one more is drawn as well."""
    np.testing.assert_array_equal(choose(LABELS, 9, 5), choose(LABELS, 9, 5))
    draws = [choose(LABELS, 9, seed) for seed in range(20)]
    assert len({tuple(draw) for draw in draws}) == 20
    assert {int(np.bincount(LABELS[draw]).argmax()) for draw in draws} == {0, 1, 2, 3}


def test_the_first_of_each_class():
    """By class; what has no label, and a class without an image, is left out."""
    assert first_of_each(np.array([-1, 2, 0, 2, -1, 0, 5])).tolist() == [2, 1, 6]
    assert first_of_each(np.array([-1, -1])).size == first_of_each(np.array([], np.int64)).size == 0


def test_none_and_all():
    assert choose(LABELS, 0, 1).size == 0
    np.testing.assert_array_equal(choose(LABELS, 38, 1), np.arange(38))


@pytest.mark.parametrize(("count", "words"), [
    (-1, r"--labels is -1, but must be 0 or from 4 \(one of each class\) to 38 \(all\)"),
    (3, "must be 0 or from 4"), (39, "to 38"),
    (32, "8 of each class, but class 1 has only 7 images: take at most 28, or all 38")])
def test_impossible_counts_are_named(count, words):
    with pytest.raises(UsageError, match=f"--labels is {count}.*{words}" if count > 3 else words):
        choose(LABELS, count, 0)


def test_the_matrix(device):
    """One-hot rows, then zeros."""
    np.testing.assert_array_equal(device.to_host(matrix(np.array([2, 0]), 3, 3, device, np.float32)),
                                  [[0, 0, 1], [1, 0, 0], [0, 0, 0]])


def test_only_known_labels_are_chosen():
    labels = np.array([1, -1, 0, 1, -1, 0, 0])
    np.testing.assert_array_equal(choose(labels, 5, seed=0), np.array([0, 2, 3, 5, 6]), strict=True)
    assert (labels[choose(labels, 4, seed=0)] >= 0).all()
    with pytest.raises(UsageError, match=r"to 5 \(all\)"):
        choose(labels, 6, seed=0)
