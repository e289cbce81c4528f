"""Facts of a checkpoint as a run has them: whatever has a right checksum may still be of somebody else's making."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod
from pathlib import Path

import numpy as np

from minivae.errors import MinivaeError
from minivae.runs.outcome import is_of_training
from minivae.runs.settings import Settings

MOST = 2**53        # of whole numbers: JSON of other programs has no larger ones


def sound(path: Path, facts) -> dict:
    """The facts of a checkpoint, if they are a run's.

    Raises:
        MinivaeError: they are not.
    """
    if not isinstance(facts, dict):
        raise _stranger(path, "it has none")
    for name, is_right in ALWAYS.items():
        if not is_right(facts.get(name)):
            raise _stranger(path, f"{name} is wrong")
    for name, is_right in WHERE_THERE.items():
        if name in facts and not is_right(facts[name]):
            raise _stranger(path, f"{name} is wrong")
    if is_of_training(facts) and ("schedule" not in facts or facts.get("step") != facts["optimizer"]["steps"]):
        raise _stranger(path, "its state of a training is not whole")
    return facts


def require_room(path: Path, settings: Settings, facts: dict, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a model that would be larger than the checkpoint that it is to be filled from, before it takes the memory.

    Raises:
        MinivaeError: it would.
    """
    there = sum(array.size for array in arrays.values())
    hidden, channels = settings.hidden, settings.channels if settings.arch == "conv" else ()
    height, width, depth = facts["image_shape"]
    inputs = (height >> len(channels)) * (width >> len(channels)) * (channels[-1] if channels else depth)
    needed = [settings.code, facts.get("classes", 0), *(a * b for sizes in (channels, (inputs, *hidden, settings.code))
                                                        for a, b in zip(sizes[:-1], sizes[1:], strict=True))]
    if max(needed) > there:
        raise MinivaeError(f"{path} holds {there:,} numbers, fewer than a model of these settings has: put back the settings that "
                           "it was trained with, or take another copy")


def _stranger(path: Path, why: str) -> MinivaeError:
    return MinivaeError(f"{path} is no checkpoint of a run: what it says of itself is not what one says ({why}); take "
                        "another copy or train again")


def _whole(value) -> bool:
    return type(value) is int and 0 <= value <= MOST


def _real(value) -> bool:
    """Infinity and NaN are, too: a cost may have been."""
    return type(value) is float or (type(value) is int and abs(value) <= MOST)


def _amount(value) -> bool:
    """A finite number from 0 on."""
    return _real(value) and 0 <= value < inf


def _shape(value) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(_whole(side) and side for side in value) and prod(value) <= MOST


def _numbers(value) -> bool:
    return isinstance(value, dict) and all(map(_real, value.values()))


def _optimizer(value) -> bool:
    return _numbers(value) and _whole(value.get("steps"))


def _recovery(value) -> bool:
    """See Recovery.state."""
    if not isinstance(value, dict) or value.keys() != {"factor", "times", "lowest", "largest", "good"}:
        return False
    return (_amount(value["factor"]) and 0 < value["factor"] <= 1 and _whole(value["times"]) and _amount(value["largest"])
            and _real(value["lowest"]) and -inf < value["lowest"] and _or_none(_good)(value["good"]))


def _good(value) -> bool:
    """See Snapshot.to_host."""
    return (isinstance(value, dict) and value.keys() == {"optimizer", "schedule", "averaged"}
            and _optimizer(value["optimizer"]) and _numbers(value["schedule"]) and _whole(value["averaged"]))


def _collapse(value) -> bool:
    """See CollapseWatch.facts."""
    return isinstance(value, dict) and value.keys() == {"without", "told"} and all(map(_whole, value.values()))


def _score(value) -> bool:
    if not isinstance(value, dict) or not {"total", "reconstruction", "kl"} <= value.keys() <= {*SCORE}:
        return False
    return all(_real(part) or (part is None and name == "error") for name, part in value.items())


def _best(value) -> bool:
    return isinstance(value, dict) and value.keys() == {"cost", "epoch"} and _real(value["cost"]) and _whole(value["epoch"])


def _or_none(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_right(value)


def _settings(value) -> bool:
    return isinstance(value, dict) and _whole(value.get("epochs"))


SCORE = ("total", "reconstruction", "kl", "error")
ALWAYS = {"image_shape": _shape, "settings": _settings}
WHERE_THERE = {
    "classes": _whole, "epoch": _whole, "step": _whole, "seconds": _amount, "epoch_seconds": _amount,
    "optimizer": _optimizer, "schedule": _numbers, "test_cost": _or_none(_score), "best": _or_none(_best), "recovery": _recovery,
    "collapse": _collapse, "finished": lambda value: type(value) is bool,
    "score": lambda value: isinstance(value, list) and len(value) == 3 and all(map(_real, value)),
}
