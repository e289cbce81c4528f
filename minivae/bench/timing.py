"""Times parts in turn, in one process: clock rates drift, so only what ran side by side can be compared."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minivae.device import Device, cpu

STEPS = 3           # timed steps of a part a round; their mean is one sample
PAUSE = 0.1         # seconds between parts


def nothing() -> None:
    """The hook of a part that needs none."""


class Sample(NamedTuple):
    """One round of a part.

    Attributes:
        ms: a step's time.
        own: processors that this process used.
        others: processors that other programs used meanwhile; None where the system does not tell.
    """

    ms: float
    own: float
    others: float | None


@dataclass
class Part:
    """Something to time.

    Attributes:
        name: in the table.
        step: what is timed.
        before, after: done untimed, around a part's steps in every round.
        device: whose clock times it; a GPU's is the time from event to event, not the time to launch.
        samples: one a round.
    """

    name: str
    step: Callable[[], object]
    before: Callable[[], object] = nothing
    after: Callable[[], object] = nothing
    device: Device = field(default_factory=cpu)
    samples: list[Sample] = field(default_factory=list)

    @property
    def ms(self) -> np.ndarray:
        """The samples' times."""
        return np.array([sample.ms for sample in self.samples])


def time_part(part: Part) -> Sample:
    """One sample of the part."""
    part.before()
    # Idle threads of a library spin for a while before they sleep: up to some 30 ms in OpenBLAS, a few in
    # PyTorch's OpenMP, 0.3 in minivae. Until then they would take processors from the threads of this part.
    time.sleep(PAUSE)
    part.step()         # wakes this part's threads, and brings its data back into the caches
    first, began = clocks(), part.device.mark()
    for _ in range(STEPS):
        part.step()
    ms = part.device.milliseconds(began, part.device.mark()) / STEPS
    seconds, own, everybody = (now - then for now, then in zip(clocks(), first, strict=True))
    part.after()
    others = None if math.isnan(everybody) else max(0.0, everybody - own) / seconds
    return Sample(ms, own / seconds, others)


def clocks() -> tuple[float, float, float]:
    """Seconds now: of the clock, of processors in this process, of processors in all programs (or NaN)."""
    return time.perf_counter(), time.process_time(), _busy()


def _busy() -> float:
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
    except (OSError, ValueError):
        return math.nan
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")    # all but idle and disk waits


def time_all(parts: list[Part], rounds: int) -> None:
    """All parts in every round, in a new order each, so that none always follows the same other one."""
    order = np.random.default_rng(0)
    for part in parts:      # compiles kernels and takes memory
        time_part(part)
    for _ in range(rounds):
        for i in order.permutation(len(parts)):
            parts[i].samples.append(time_part(parts[i]))


def spread(samples) -> dict[str, float]:
    """Median, 10th and 90th percentile."""
    return dict(zip(("p10", "median", "p90"), np.percentile(samples, (10, 50, 90)).tolist(), strict=True))
