"""Times training iterations of the architectures side by side, beside their matrix products alone, and counts."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np

from minivae import __version__, data, kernels, trace
from minivae.bench.replay import Products
from minivae.bench.timing import STEPS, Part, spread, time_all
from minivae.device import Device
from minivae.models import ARCHITECTURES
from minivae.runs import Settings
from minivae.training.checks import check
from minivae.training.trainer import Trainer

DATA = "digits"
BATCH_SIZES = {"ff": 1000, "conv": 128}
WARM_UP = 3             # steps before anything is counted or timed
ENDLESS = 1_000_000     # epochs


class Subject:
    """An architecture in training, its memory taken and its kernels loaded.

    Args:
        settings: of a training that does not come to an end.
        dataset: what it trains on.
        device: where.

    Attributes:
        working_bytes: taken from the system for parameters, gradients, the optimizer's state, activations and
            whatever else a step needs; all but the data set's images.
        trace: of one step.
        step, products: a training step and its matrix products alone, as parts to time.
    """

    def __init__(self, settings: Settings, dataset: data.Dataset, device: Device):
        self.settings = settings
        device.release()        # or this one would live in memory that the one before has left
        before = device.bytes_held + dataset.train_images.nbytes + dataset.test_images.nbytes
        self.trainer = Trainer(settings, dataset, device)
        device.release()        # what building alone has taken
        train = partial(train_on, self.trainer)
        for _ in range(WARM_UP):
            train()
        self.working_bytes = device.bytes_held - before
        with trace.recording() as self.trace:
            train()
        name = settings.arch
        self.step = Part(name, train, device=device)
        self.products = Part(f"{name} products", Products(self.trace.products, device).step, device=device)

    def report(self) -> dict:
        """All numbers, once the parts have samples; times in ms, GFLOP of one step."""
        gflop, products_gflop = self.trace.flops / 1e9, sum(p.flops for p in self.trace.products) / 1e9
        ms, products_ms = np.median(self.step.ms), np.median(self.products.ms)
        return {
            "batch_size": self.settings.batch_size, "parameters": self.trainer.flat.count,
            "ms": _samples(self.step.ms), "examples_per_s": float(self.settings.batch_size / ms * 1e3),
            "gflop": gflop, "gflop_per_s": float(gflop / ms * 1e3),
            "products_ms": _samples(self.products.ms), "products_gflop": products_gflop,
            "products_gflop_per_s": float(products_gflop / products_ms * 1e3),
            "ms/products_ms": _samples(self.step.ms / self.products.ms),    # round by round: a slow minute cancels
            "processors": float(np.mean([sample.own for sample in self.step.samples])),
            "launches": self.trace.launches, "products": len(self.trace.products),
            "working_bytes": self.working_bytes,
        }


def settings_of(archs: Sequence[str], batch_size: int | None = None) -> list[Settings]:
    """What is timed of each architecture; see measure().

    Raises:
        UsageError: a batch size that cannot be.
    """
    settings = [endless(arch, BATCH_SIZES[arch] if batch_size is None else batch_size) for arch in archs]
    dataset = data.load(DATA)
    for each in settings:
        check(each, dataset)
    return settings


def measure(archs: Sequence[str], device: Device, *, batch_size: int | None = None, repeat: int = 10,
            profiled: bool = False) -> dict:
    """Time training steps on the built-in digits.

    Args:
        archs: keys of ARCHITECTURES; where both are there, they are compared.
        device: where.
        batch_size: of all of them; None for BATCH_SIZES.
        repeat: samples of each part, >= 1.
        profiled: whether to say where the time goes.

    Returns:
        Plain numbers, strings, lists and dicts, as they go into a JSON file.

    Raises:
        UsageError: a batch size that cannot be.
        MinivaeError: the kernels cannot be compiled.
    """
    dataset = data.load(DATA)
    settings = settings_of(archs, batch_size)
    kernels.prepare(device)
    subjects = {each.arch: Subject(each, dataset, device) for each in settings}
    parts = [part for subject in subjects.values() for part in (subject.step, subject.products)]
    time_all(parts, repeat)
    report = {"minivae": __version__, "python": platform.python_version(), "numpy": np.__version__,
              "system": platform.platform(), "device": device.describe(), "repeat": repeat, "steps_per_sample": STEPS,
              "processors_of_others": _others(parts),
              "settings": {arch: asdict(subject.settings) for arch, subject in subjects.items()},
              "architectures": {arch: subject.report() for arch, subject in subjects.items()}}
    if {"ff", "conv"} <= subjects.keys():
        ff, conv = subjects["ff"], subjects["conv"]
        report["conv/ff"] = {"ms": _samples(conv.step.ms / ff.step.ms), "gflop": conv.trace.flops / ff.trace.flops}
    if profiled:
        report["profiles"] = {arch: profile(subject.step.step, device, repeat) for arch, subject in subjects.items()}
    return report


def train_on(trainer: Trainer) -> None:
    """The next training step, as `minivae train` makes it."""
    trainer.step(trainer.optimizer.steps)


def endless(arch: str, batch_size: int) -> Settings:
    """The settings of a training with the architecture's own sizes that never comes to an end."""
    return Settings(arch=arch, data=DATA, epochs=ENDLESS, batch_size=batch_size, schedule="constant",
                    **ARCHITECTURES[arch].SIZES)


def profile(step: Callable[[], None], device: Device, repeat: int) -> dict:
    """Where a step's time goes: traced with the device's clock around every launch and product.

    Args:
        step: what to do `repeat` times.

    Returns:
        ms: the median time of a traced step.
        rows: one for each operation and phase, and for each kernel that serves none, longest first: the median of
            its launches' and products' times together, how often it ran, and GFLOP/s where its arithmetic is stated.
        outside_ms: what is left of `ms`: Python, and copies that no kernel makes.
    """
    step()
    steps = [_clocked(step, device) for _ in range(repeat)]
    ms, record = float(np.median([total for total, _, _ in steps])), steps[-1][2]
    passes, flops = defaultdict(int), defaultdict(int)
    for name, phase, cost in record.operations:
        passes[name, phase] += 1
        flops[name, phase] += cost
    rows = []
    for key in dict.fromkeys((call.operation, call.phase) for call in record.calls):
        calls = [call for call in record.calls if (call.operation, call.phase) == key]
        spent = float(np.median([spent[key] for _, spent, _ in steps]))
        products = sum(call.product is not None for call in calls)
        rows.append({"operation": key[0], "phase": key[1], "calls": passes[key] or len(calls), "ms": spent,
                     "launches": len(calls) - products, "products": products,
                     "gflop_per_s": flops[key] / spent / 1e6 if flops[key] else None})
    rows.sort(key=lambda row: -row["ms"])
    return {"ms": ms, "rows": rows, "outside_ms": ms - sum(row["ms"] for row in rows)}


def _clocked(step: Callable[[], None], device: Device) -> tuple[float, dict[tuple[str, str], float], trace.Trace]:
    """(ms of a step, ms by operation and phase, its trace)."""
    with trace.recording(device) as record:
        began = device.mark()
        step()
        ended = device.mark()
    spent: dict[tuple[str, str], float] = defaultdict(float)
    for call in record.calls:
        spent[call.operation, call.phase] += device.milliseconds(call.began, call.ended)
    return device.milliseconds(began, ended), spent, record


def _samples(values: np.ndarray) -> dict:
    return {**spread(values), "samples": values.tolist()}


def _others(parts: list[Part]) -> float | None:
    """Processors that other programs used in the worst part; None where the system does not tell."""
    known = [[sample.others for sample in part.samples if sample.others is not None] for part in parts]
    return max((float(np.mean(others)) for others in known if others), default=None)
