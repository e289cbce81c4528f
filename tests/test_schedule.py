"""Schedules of the learning rate: their values at chosen steps, and what they remember."""

import json
import math

import pytest

from minivae.optim import SCHEDULES

HALF = 0.5 * (1 + math.cos(math.pi / 4))        # of a cosine, after a quarter of it


@pytest.mark.parametrize(("name", "expected"), [
    ("constant", {0: 1, 50: 1, 99: 1}), ("step", {0: 1, 49: 1, 50: 0.1, 74: 0.1, 75: 0.01, 99: 0.01}),
    ("exponential", {0: 1, 50: 0.1, 75: 0.01**0.75}), ("cosine", {0: 1, 25: HALF, 50: 0.5, 75: 1 - HALF}),
    ("one-cycle", {0: 0.04, 15: 0.52, 30: 1, 65: 0.50005}), ("plateau", {0: 1, 50: 1, 99: 1})])
def test_values(name, expected):
    """Of a hundred steps; and after a warm-up of 20 the same over the hundred that follow."""
    plain, warmed = SCHEDULES[name](100), SCHEDULES[name](120, 20)
    for step, factor in expected.items():
        assert plain.factor(step) == pytest.approx(factor, rel=1e-12)
        assert warmed.factor(step + 20) == pytest.approx(factor, rel=1e-12)
    assert [warmed.factor(step) for step in (0, 9, 19)] == pytest.approx([f * expected[0] for f in (0.05, 0.5, 1)])


@pytest.mark.parametrize("name", SCHEDULES)
def test_factors_are_never_above_one(name):
    assert all(0 <= SCHEDULES[name](37, 5).factor(step) <= 1 for step in range(37))


def test_a_plateau_halves_the_rate():
    """After three epochs that are no better by a thousandth; what it remembers goes through a checkpoint's text."""
    schedule, factors = SCHEDULES["plateau"](1), []
    for cost in (9, 8, 7.9999, 8, 7.5, 8, 8, 7.4999, 7.6, 8, 8, 7):
        schedule.observe(cost)
        factors.append(schedule.factor(0))
        again = SCHEDULES["plateau"](1)
        again.restore(json.loads(json.dumps(schedule.facts())))
        assert again.facts() == schedule.facts() and again.factor(0) == schedule.factor(0)
        schedule = again
    assert factors == [1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25]
