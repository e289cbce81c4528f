"""Confidence intervals: of a share of images, and of a mean over a few trainings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95        # how often such an interval holds what it is for


def wilson(share: float, count: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval (low, high) of a probability of which `share` of `count` independent trials were seen (Wilson 1927): unlike
    the normal one it stays within 0 and 1, and is no single point where the share is."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    middle, half = share + z**2 / (2 * count), z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    low, high = ((middle + side) / (1 + z**2 / count) for side in (-half, half))
    return max(low, 0.0), min(high, 1.0)


def of_mean(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """The mean of a few values and half of its interval by Student's t, which is what normal values of an unknown variance
    give; at least 2 values."""
    return fmean(values), student(len(values) - 1, level) * stdev(values) / math.sqrt(len(values))


def student(degrees: int, level: float = LEVEL) -> float:
    """The t within +-which Student's distribution with that many degrees of freedom, >= 1, has the probability `level`."""
    low, high = 0.0, 1.0
    while _within(high, degrees) < level:
        high *= 2
    for _ in range(100):        # halved until nothing is left between them
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < level else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """The probability of -t to t: a finite sum (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine, odd = math.cos(angle), degrees % 2
    term = total = cosine if odd else 1.0
    for k in range(2 + odd, degrees - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    if not odd:
        return math.sin(angle) * total
    return 2 / math.pi * (angle + (math.sin(angle) * total if degrees > 1 else 0.0))
