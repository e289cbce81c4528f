"""Timing in turn: how often what is called, and whose clock counts. No time is right or wrong."""

import numpy as np
import pytest

from minivae.bench import timing
from minivae.bench.timing import STEPS, Part, spread, time_all


class Clock:
    """A device's clock that stands still unless it is moved; in ms."""

    now = 0.0

    def mark(self):
        return self.now

    def milliseconds(self, began, ended):
        return ended - began


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(timing, "PAUSE", 0)


def test_every_part_is_timed_in_every_round():
    """By its device's clock; its first step and its hooks are not timed; the order changes."""
    clock, order, parts = Clock(), [], []
    for name, ms in (("a", 2.0), ("b", 3.0), ("c", 5.0)):
        def step(name=name, ms=ms):
            clock.now += ms
            order.append(name)

        def hook():
            clock.now += 100

        parts.append(Part(name, step, before=hook, after=hook, device=clock))
    time_all(parts, 6)
    assert [part.ms.tolist() for part in parts] == [[2.0] * 6, [3.0] * 6, [5.0] * 6]
    assert all(s.own >= 0 and (s.others is None or s.others >= 0) for part in parts for s in part.samples)
    rounds = np.reshape(order, (7, 3, STEPS + 1))
    assert (rounds == rounds[:, :, :1]).all() and (np.sort(rounds[:, :, 0]) == ["a", "b", "c"]).all()
    assert len({tuple(r) for r in rounds[:, :, 0]}) > 1


def test_the_processors_clock_is_the_default(cpu):
    part = Part("sum", lambda: sum(range(1000)))
    time_all([part], 2)
    assert part.device is cpu and len(part.samples) == 2 and (part.ms > 0).all()


def test_spread():
    assert spread(range(11)) == {"p10": 1.0, "median": 5.0, "p90": 9.0}
