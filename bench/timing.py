"""Parts to time, in turn and in one process, and what else a comparison needs of NumPy."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

from minivae.errors import MinivaeError

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
        samples: one a round.
    """

    name: str
    step: Callable[[], object]
    before: Callable[[], object] = nothing
    after: Callable[[], object] = nothing
    samples: list[Sample] = field(default_factory=list)

    @property
    def ms(self) -> np.ndarray:
        return np.array([sample.ms for sample in self.samples])


def time_part(part: Part) -> Sample:
    """One sample of the part."""
    part.before()
    # Idle threads of a library spin for a while before they sleep: up to some 30 ms in OpenBLAS, a few in
    # PyTorch's OpenMP, 0.3 in minivae. Until then they would take processors from the threads of this part.
    time.sleep(PAUSE)
    part.step()         # wakes this part's threads, and brings its data back into the caches
    began = clocks()
    for _ in range(STEPS):
        part.step()
    seconds, own, everybody = (now - then for now, then in zip(clocks(), began, strict=True))
    part.after()
    others = None if math.isnan(everybody) else max(0.0, everybody - own) / seconds
    return Sample(seconds / STEPS * 1e3, own / seconds, others)


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


class NumpyBlas:
    """The threads of NumPy's own BLAS, which rest at one while others are timed.

    To be made before PyTorch is imported, whose BLAS is then left alone.
    """

    def __init__(self, threads: int):
        self.threads, self.controller = threads, ThreadpoolController().select(user_api="blas")
        self.name = "; ".join(f"{i['internal_api']} {i['version']} ({i.get('architecture', '?')})"
                              for i in self.controller.info()) or "unknown, its threads cannot be set"

    def many(self) -> None:
        self._set(self.threads)

    def one(self) -> None:
        self._set(1)

    def _set(self, threads: int) -> None:
        self.controller.limit(limits=threads)
        if any(library["num_threads"] != threads for library in self.controller.info()):
            raise MinivaeError(f"NumPy's BLAS does not take {threads} threads: choose fewer with --threads")


class Products:
    """A training step's matrix products: for each layer x W, x^T dy and, but for the first, dy W^T.

    Args:
        shapes: (inputs, outputs) of the layers.
        rows: the batch size.
    """

    def __init__(self, shapes: list[tuple[int, int]], rows: int):
        rng = np.random.default_rng(0)
        self.calls = []
        for number, (inputs, outputs) in enumerate(shapes):
            x, w, dy = (rng.standard_normal(shape, np.float32)
                        for shape in ((rows, inputs), (inputs, outputs), (rows, outputs)))
            y, dw, dx = np.empty_like(dy), np.empty_like(w), np.empty_like(x)
            self.calls += [(x, w, y), (x.T, dy, dw), (dy, w.T, dx)][:2 if number == 0 else 3]
        self.gflop = sum(2e-9 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in self.calls)

    def step(self) -> None:
        for a, b, out in self.calls:
            np.matmul(a, b, out=out)


def spread(samples) -> dict[str, float]:
    """Median, 10th and 90th percentile."""
    return dict(zip(("p10", "median", "p90"), np.percentile(samples, (10, 50, 90)).tolist(), strict=True))


def report_of(parts: list[Part], gflop: float, ratios: list[tuple[str, str]]) -> dict:
    """All numbers of the timing.

    Args:
        gflop: of a step's matrix products; the rest of a step is not counted.
        ratios: names of parts, (numerator, denominator); taken in each round, so that a slow minute cancels.
    """
    ms = {part.name: part.ms for part in parts}
    report = {"gflop_of_products": gflop, "steps_per_sample": STEPS, "parts": {}, "ratios": {}}
    for part in parts:
        own = float(np.mean([sample.own for sample in part.samples]))
        known = [sample.others for sample in part.samples if sample.others is not None]
        report["parts"][part.name] = {
            "unit": "ms/step", **spread(part.ms), "gflop_per_s": float(gflop / np.median(part.ms) * 1e3),
            "processors": own, "processors_of_others": float(np.mean(known)) if known else None,
            "samples": [sample._asdict() for sample in part.samples]}
    for above, below in ratios:
        values = ms[above] / ms[below]
        report["ratios"][f"{above} / {below}"] = {**spread(values), "samples": values.tolist()}
    return report
