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


def test_principal_directions():
    """Of codes that vary along two known directions these are found, the wider first, with their scales and shares; moving
    along one sets the place along it, and leaves the place along the other."""
    rng = np.random.default_rng(0)
    wide, narrow = np.array([3, 0, 4]) / 5, np.array([4, 0, -3]) / 5
    mu = (rng.normal(size=(4000, 1)) * 2 * wide + rng.normal(size=(4000, 1)) * 0.5 * narrow + [1, 2, 3]).astype(np.float32)
    found = latent.principal(mu, 5)
    assert found.vectors.shape == (2, 3) and found.vectors.dtype == found.centre.dtype == np.float32
    assert np.allclose(found.vectors, [wide, narrow], atol=0.02) and np.allclose(found.scales, [2, 0.5], rtol=0.05)
    assert np.allclose(found.centre, [1, 2, 3], atol=0.1) and found.share.sum() == pytest.approx(1) and found.share[0] > 0.9
    codes = found.along(mu[7], 0, np.array([-1.0, 3.0]))
    assert codes.shape == (2, 3) and codes.dtype == np.float32
    places = (np.vstack([mu[7], codes]) - found.centre) @ found.vectors.T / found.scales
    assert np.allclose(places[1:, 0], [-1, 3], atol=1e-4) and np.allclose(places[:, 1], places[0, 1], atol=1e-4)
    assert len(latent.principal(mu, 1).scales) == 1


def test_codes_that_do_not_differ_have_no_directions():
    """Neither a division by zero nor directions of noise."""
    found = latent.principal(np.ones((5, 3), np.float32), 3)
    assert found.vectors.shape == (0, 3) and len(found.scales) == len(found.share) == 0


@pytest.mark.parametrize("call", [lambda: latent.between(A, B[:2], 3), lambda: latent.between(A, B, 1),
                                  lambda: latent.along(A, 3, np.zeros(1)), lambda: latent.along(A, -1, np.zeros(1))])
def test_what_cannot_be_is_refused(call):
    """Codes of two shapes, a way of one step, a number that is not there."""
    with pytest.raises(UsageError):
        call()
