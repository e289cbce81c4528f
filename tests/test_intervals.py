"""Confidence intervals: against tables, and by how often they hold what they are for."""

import numpy as np
import pytest

from minivae.evaluation.intervals import of_mean, student, wilson


@pytest.mark.parametrize(("degrees", "level", "t"), [
    (1, 0.95, 12.706205), (2, 0.95, 4.302653), (3, 0.95, 3.182446), (4, 0.95, 2.776445), (9, 0.95, 2.262157), (10, 0.95, 2.228139),
    (30, 0.95, 2.042272), (1000, 0.95, 1.962339), (4, 0.99, 4.604095), (5, 0.9, 2.015048), (1, 0.5, 1.0)])
def test_student_against_tables(degrees, level, t):
    assert student(degrees, level) == pytest.approx(t, rel=1e-6)


def test_interval_of_a_mean():
    """By hand: the values 1, 2, 3, 4, 5 have the standard error sqrt(0.5)."""
    assert of_mean([1, 2, 3, 4, 5]) == pytest.approx((3, 2.776445 * 0.5**0.5), rel=1e-6)


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says(rng):
    """Of 2,000 samples of three normal numbers 95% (within 4 standard errors); the normal interval would hold 82%."""
    held = [abs(mean - 3) < half for mean, half in (of_mean(values) for values in 3 + 2 * rng.standard_normal((2000, 3)))]
    assert abs(np.mean(held) - 0.95) < 4 * (0.95 * 0.05 / 2000)**0.5


@pytest.mark.parametrize(("hits", "count", "low", "high"), [
    (0, 10, 0, 0.277533), (10, 10, 0.722467, 1), (1, 10, 0.017876, 0.404150), (50, 100, 0.403832, 0.596168), (0, 1, 0, 0.793451)])
def test_wilson_against_known_values(hits, count, low, high):
    assert wilson(hits / count, count) == pytest.approx((low, high), abs=1e-6)
