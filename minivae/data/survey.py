"""What a set of pictures suggests where nobody says: a size, and whether it is grey."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from minivae.data import cache
from minivae.data.decoding import CRASHES, each
from minivae.errors import MinivaeError
from minivae.files import replacing

LARGEST = 64        # pixels of a side that is suggested
SMALLEST = 8


class Survey(NamedTuple):
    """What pictures are like.

    Attributes:
        common: (height, width) of all of them; None where they differ.
        median: of the shorter sides.
        grey: whether all are.
        seen: how many could be looked at.
        trouble: why the first that could not be could not; "" where all could.
    """

    common: tuple[int, int] | None
    median: int
    grey: bool
    seen: int
    trouble: str


def look_at(paths: Sequence[str], key: str) -> Survey:
    """Look at every picture's header, or at what an earlier start has written down about them under that key. Nothing is
    written down where a decoder has crashed: at the next start it may not, as on a machine that was too busy, and then there
    would be another size, or colours."""
    path = cache.folder() / f"{key}.json"
    try:
        return _noted(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        from minivae.progress import amount, counting   # rich takes a while to load, and only a first start needs it

        with counting(f"looking at {amount(len(paths), 'picture')}", len(paths)) as advance:
            survey, crashed = _of(paths, advance)
    if crashed:
        return survey
    with suppress(OSError, MinivaeError):       # without it the next start looks again
        os.makedirs(path.parent, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(survey).encode())
    return survey


def _noted(found) -> Survey:
    """A survey as JSON has it.

    Raises:
        ValueError, TypeError, LookupError: it is none.
    """
    common, median, grey, seen, trouble = found
    sizes = (*common, median, seen) if common else (median, seen)
    if (not all(type(size) is int and 0 <= size < 2**32 for size in sizes) or type(grey) is not bool
            or not isinstance(trouble, str) or (common and (len(common) != 2 or not all(common)))):
        raise ValueError("no survey")
    return Survey(tuple(common) if common else None, median, grey, seen, trouble)


def _of(paths: Sequence[str], advance: Callable[[int], None]) -> tuple[Survey, bool]:
    """What they are like, and whether the decoder of one has crashed."""
    sizes, grey, troubles = Counter(), True, {}
    for result in each({"task": "look"}, paths, advance):
        if result.unreadable is not None:
            troubles[result.index] = result.unreadable
            continue
        height, width, one_grey = result.found
        sizes[height, width] += 1
        grey = grey and one_grey
    trouble, crashed = troubles[min(troubles)] if troubles else "", CRASHES in troubles.values()
    if not sizes:
        return Survey(None, 0, False, 0, trouble), crashed
    shorter = np.repeat([min(size) for size in sizes], list(sizes.values()))
    common = next(iter(sizes)) if len(sizes) == 1 else None
    return Survey(common, int(np.median(shorter)), grey, int(sizes.total()), trouble), crashed


def suggested(survey: Survey) -> tuple[tuple[int, int], str]:
    """The size for such pictures, and why: their own where all have the same and no side is over LARGEST; else a square whose
    side is the power of two nearest to the median of the shorter sides, within SMALLEST and LARGEST."""
    if survey.common and max(survey.common) <= LARGEST:
        return survey.common, "as all of them are"
    side = 2 ** round(np.log2(max(1, survey.median)))
    side = int(min(LARGEST, max(SMALLEST, side)))
    if survey.common:
        return (side, side), f"all of them are {survey.common[0]} x {survey.common[1]}"
    return (side, side), f"half of them have a shorter side of {survey.median} pixels or more"
