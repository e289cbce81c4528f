"""Walks through the space of codes."""

import numpy as np
import pytest

from minivae import latent
from minivae.errors import UsageError

A, B = np.array([3.0, 0, 0]), np.array([0, 1.0, 0])


@pytest.mark.parametrize("spherical", [False, True])
def test_a_way_begins_and_ends_where_it_should(spherical):
    """Both ends are the codes themselves."""
    way = latent.between(A, B, 5, spherical=spherical)
    assert way.shape == (5, 3) and way.dtype == np.float32
    assert np.allclose(way[[0, -1]], [A, B])


def test_the_middle_of_a_line_and_of_an_arc():
    """The line's middle is the mean; the arc's has the mean length, in the direction halfway."""
    assert np.allclose(latent.between(A, B, 3)[1], (A + B) / 2)
    middle = latent.between(A, B, 3, spherical=True)[1]
    assert np.allclose(middle, np.array([1, 1, 0]) / np.sqrt(2) * 2)


@pytest.mark.parametrize("other", [A, -A, 0 * A])
def test_where_there_is_no_arc_the_way_is_straight(other):
    """No angle, a half turn and a code of length 0 give no division by zero."""
    assert np.array_equal(latent.between(A, other, 4, spherical=True), latent.between(A, other, 4))


def test_a_traverse_changes_one_number_only():
    """All other numbers stay; the code that was given, too."""
    code = np.arange(4, dtype=np.float32)
    codes = latent.along(code, 2, np.array([-1.0, 5.0]))
    assert codes.tolist() == [[0, 1, -1, 3], [0, 1, 5, 3]]
    assert code.tolist() == [0, 1, 2, 3]


def test_the_numbers_that_vary_most_come_first():
    """The order is by variance over the images; equal ones keep theirs."""
    mu = np.random.default_rng(0).normal(size=(500, 4)) * [1, 3, 0, 0]
    order, variance = latent.by_activity(mu)
    assert order.tolist() == [1, 0, 2, 3]
    assert np.allclose(variance, mu.var(0)) and (variance > latent.ACTIVE).sum() == 2


@pytest.mark.parametrize("call", [lambda: latent.between(A, B[:2], 3), lambda: latent.between(A, B, 1),
                                  lambda: latent.along(A, 3, np.zeros(1)), lambda: latent.along(A, -1, np.zeros(1))])
def test_what_cannot_be_is_refused(call):
    """Codes of two shapes, a way of one step, a number that is not there."""
    with pytest.raises(UsageError):
        call()
