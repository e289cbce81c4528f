"""Labels from the folders that pictures lie in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

TRAIN = {"train", "training"}
TEST = {"test", "testing", "val", "valid", "validation"}


class Told(NamedTuple):
    """What folders say.

    Attributes:
        classes: the class of each picture, None for one without; None where there are none at all.
        test: whether each picture is one to test with; None where the folders do not say.
    """

    classes: list[str | None] | None
    test: list[bool] | None


def told(names: Sequence[str]) -> Told:
    """What the paths of pictures say, with slashes.

    Folders that all pictures lie in say nothing. Where those below are called train and test (or val) they are the split;
    the first folders below that are the classes, unless there is only one.
    """
    parts = [tuple(name.split("/")[:-1]) for name in names]
    parts = _without_common(parts)
    tops = {part[0].lower() if part else "" for part in parts}
    test = None
    if tops & TRAIN and tops & TEST and tops <= TRAIN | TEST:
        test = [part[0].lower() in TEST for part in parts]
        parts = _without_common([part[1:] for part in parts])
    classes = [part[0] if part else None for part in parts]
    return Told(classes if len(set(classes) - {None}) > 1 else None, test)


def _without_common(parts: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The paths without the folders that all of them share."""
    least, most = min(parts), max(parts)
    common = 0
    while common < len(least) and common < len(most) and least[common] == most[common]:
        common += 1
    return [part[common:] for part in parts] if common else parts
