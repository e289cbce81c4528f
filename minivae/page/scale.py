"""Scales: numbers as places on a chart's axis, and the round numbers that are marked on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOGARITHMIC = 3.0       # largest / smallest number of a series, from which on its scale is logarithmic
ROUND = (1, 2, 2.5, 5, 10)      # times powers of 10, what lies between two marks


@dataclass(frozen=True)
class Scale:
    """From numbers low .. high to places start .. end.

    Attributes:
        ticks: the round numbers between low and high.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a number."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = map(math.log, (low, high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def fitting(values: Sequence[float], start: float, end: float, *, ticks: int = 5, zero: bool = False,
            logarithmic: bool | None = None, whole: bool = False) -> Scale:
    """A scale on which all the values have their place.

    Args:
        values: finite; none is as good as 0.
        start, end: places of the lowest and the highest.
        ticks: about how many.
        zero: begin at 0, for values that are not below.
        logarithmic: None to be so where the values are positive and far apart.
        whole: ticks are whole numbers.
    """
    low, high = (min(values), max(values)) if len(values) else (0.0, 1.0)
    if logarithmic is None:
        logarithmic = not zero and low > 0 and high / low > LOGARITHMIC
    if logarithmic:
        low, high = low / 1.04, high * 1.04
        marks = _decades(low, high)
        while len(marks) > ticks + 2:
            marks = marks[::2]
        if len(marks) > 1:
            return Scale(low, high, start, end, tuple(marks), True)
    if zero:
        low = min(low, 0.0)
    if not high - low > 1e-9 * max(abs(low), abs(high)):      # one value, or as good as one
        spread = max(0.5, abs(high) * 1e-6) if whole else max(abs(high) * 0.05, 1e-3)
        low, high = (low if zero else low - spread), high + spread
    elif not whole:
        margin = (high - low) * 0.04
        low, high = (low if zero else low - margin), high + margin
    step = _step((high - low) / max(ticks, 1), whole)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Scale(low, high, start, end, tuple(i * step for i in range(first, last + 1)))


def _step(least: float, whole: bool) -> float:
    """The smallest round number that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    steps = [factor * power for factor in ROUND if factor * power >= least * (1 - 1e-9)]
    if whole:
        steps = [step for step in (1, *steps, 10 * power) if step >= 1 and step == int(step) and step >= least * (1 - 1e-9)]
    return steps[0]


def _decades(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of 10 between the two, or where these are few all whole multiples."""
    powers = [10.0**p for p in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    for factors in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        marks = [f * p for p in powers for f in factors if low <= f * p <= high]
        if len(marks) > 2:
            break
    return marks


def in_words(value: float, digits: int = 4) -> str:
    """A number for people: so many digits, commas between thousands, no exponent where it can be helped."""
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}g}".replace("-", "−")
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
