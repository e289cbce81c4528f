"""Runs every kernel on a device in float32 and compares with the same in float64 on the CPU.

The arguments (cases.py) are float32 numbers on both sides, so that only the arithmetic differs. Outputs begin
as NaN, so that an element that is not written is found. A number is right where its error is small beside the largest
number of its array; whole numbers must be equal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from minivae.device import Device
from minivae.errors import MinivaeError
from minivae.gpu.errors import diagnose
from minivae.selftest.case import Case
from minivae.selftest.cases import cases

TF32 = 5e-3     # allowed of products where CUPY_TF32=1 has them round their factors to 10 bits


@dataclass
class Result:
    """What came of a kernel, or of a use of the device's own operations.

    Attributes:
        name: of the kernel in its source, or "matmul ..." or "copy ...".
        shapes: of what it was run on.
        error: the largest one, relative to the largest number of its array; infinite where something is not a number.
        allowed: what the rounding of float32 explains; 0 for kernels that must be exact.
        failure: what it raised instead of computing.
    """

    name: str
    shapes: list[str]
    error: float
    allowed: float
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it can be trusted."""
        return self.failure is None and self.error <= self.allowed


def run(device: Device, reference: Device) -> list[Result]:
    """All cases on `device` in float32 against `reference` in float64: one result a name, in the cases' order."""
    results: dict[str, Result] = {}
    for case in cases():
        result = results.setdefault(case.name, Result(case.name, [], 0.0, _allowed(case, device)))
        if case.shape not in result.shapes:
            result.shapes.append(case.shape)
        try:
            result.error = max(result.error, _largest_error(case, device, reference))
        except Exception as error:      # a bug report needs the other kernels too, whatever one of them raised
            result.failure = result.failure or _words(error, device)
    return list(results.values())


def _allowed(case: Case, device: Device) -> float:
    rounds = case.name.startswith("matmul") and device.cuda and os.environ.get("CUPY_TF32") == "1"
    return TF32 if rounds else case.allowed


def _largest_error(case: Case, device: Device, reference: Device) -> float:
    found, expected = case.run(device, np.float32), case.run(reference, np.float64)
    return max(difference(f, e) for f, e in zip(found, expected, strict=True))


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest error, relative to the largest expected number; of whole numbers the share that differs.

    Infinite where the shapes differ, where one of the arrays holds what is not finite, and beside zeros alone.
    """
    if found.shape != expected.shape:
        return float("inf")
    if expected.dtype.kind != "f":
        return float(np.mean(found != expected))
    largest, off = np.abs(expected).max(), np.abs(found.astype(np.float64) - expected).max()
    if off == 0:
        return 0.0
    return float(off / largest) if np.isfinite(off) and 0 < largest < np.inf else float("inf")


def _words(error: Exception, device: Device) -> str:
    if isinstance(error, MinivaeError) or not device.cuda:
        return " ".join((str(error) or type(error).__name__).split())
    return str(diagnose(error))
