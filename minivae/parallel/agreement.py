"""What the processes of a group decide together: what to do between two steps, and that they work on the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from minivae.clock import Stopwatch
from minivae.errors import MinivaeError
from minivae.parallel.group import Group

RISE = 4        # the time to the next meeting may grow so many times over, since nobody knows how long steps will take


class Wishes(NamedTuple):
    """What is to be done between two steps: look at the cost, write a checkpoint, stop."""

    look: bool = False
    save: bool = False
    stop: bool = False


class Agreement:
    """Makes one decision of all processes' wishes.

    A process on its own has its wishes after every step. Those of a group meet after steps on which they agreed at the
    meeting before, by the clock of process 0: their own clocks, and the moments at which signals reach them, differ.

    Args:
        group: them.
        seconds: between two meetings, about.
    """

    def __init__(self, group: Group, seconds: float):
        self._group, self._seconds = group, seconds
        self._watch, self._next = Stopwatch(), 0
        self._last: int | None = None

    def after(self, step: int, wishes: Callable[[], Wishes]) -> Wishes:
        """What to do after a step: what any process wishes; nothing where there is no meeting.

        Args:
            step: how many steps were made.
            wishes: this process's, asked for at a meeting.
        """
        if self._group.size == 1:
            return wishes()
        went_back = self._last is not None and step < self._last
        if step < self._next and not went_back:
            return Wishes()
        told = self._group.exchange((wishes(), self._meeting_after(step)))
        self._next = told[0][1]
        return Wishes(*map(any, zip(*(wish for wish, _ in told), strict=True)))

    def _meeting_after(self, step: int) -> int:
        made, passed = step - (self._last or step), self._watch.read()
        self._last = step
        self._watch.set(0.0)
        return step + max(1, min(int(made * self._seconds / max(passed, 1e-9)), RISE * made))


def require_same(group: Group, facts: Mapping[str, object], fix: str) -> None:
    """Refuse to work together on what is not the same in all processes; all of them refuse.

    Args:
        group: or an mpi.World, before there is one.
        facts: what must be the same, by name.
        fix: what mends it.

    Raises:
        MinivaeError: names what differs, and between which processes.
    """
    told = group.exchange(dict(facts))
    for rank, found in enumerate(told):
        for name, value in found.items():
            if value != told[0][name]:
                here, there = _differing(told[0][name], value)
                raise MinivaeError(f"process {rank} has another {name} than process 0: {there}, not {here}; {fix}")


def _differing(one: object, other: object) -> tuple[object, object]:
    """The two, or where they are dicts what of them differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        name = next(name for name in one if one[name] != other.get(name))
        return f"{name} = {one[name]!r}", f"{name} = {other.get(name)!r}"
    return one, other


def digest(array: np.ndarray) -> str:
    """What tells an array from another."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()[:16]
