"""What a case of the self-test is: the launch of a kernel, or something else to run on a device, and arguments for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from minivae.device import Device
from minivae.kernels import launch
from minivae.sources import signature_of
from minivae.work import Work

EXACT = 0.0         # allowed of kernels that only move numbers
ROUNDING = 5e-6     # allowed where nothing else is said: float32 beside float64 (CPUs: to 5e-7)


class Case(NamedTuple):
    """Something to run.

    Attributes:
        name: the kernel's, or what the device does.
        shape: in words.
        run: (device, dtype) to the outputs on the host.
        allowed: the largest relative error of a right result.
    """

    name: str
    shape: str
    run: Callable[[Device, np.dtype], list[np.ndarray]]
    allowed: float = ROUNDING


class Out(NamedTuple):
    """An output that the kernel does not read, of real numbers unless a dtype is named."""

    shape: tuple[int, ...]
    dtype: type | None = None


class Draw:
    """Random arrays, always the same: numbers that float32 holds exactly, as float64."""

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)

    def normal(self, *shape: int) -> np.ndarray:
        """From N(0, 1)."""
        return self._rng.standard_normal(shape, np.float32).astype(np.float64)

    def positive(self, *shape: int) -> np.ndarray:
        """From 0.5 to 1.5."""
        return (self._rng.random(shape, np.float32) + np.float32(0.5)).astype(np.float64)

    def unit(self, *shape: int) -> np.ndarray:
        """From 0 to 1."""
        return self._rng.random(shape, np.float32).astype(np.float64)

    def whole(self, below: int, *shape: int, dtype) -> np.ndarray:
        """Whole numbers from 0 to below - 1."""
        return self._rng.integers(0, below, shape, dtype)


def kernel(name: str, shape: str, work: Work, *arguments, allowed: float = ROUNDING, total: bool = False) -> Case:
    """The launch of a kernel: its outputs are the arrays that its source does not declare const.

    Args:
        arguments: NumPy arrays (float64 for real ones), Out for outputs that are not read, and scalars.
        total: compare the sums of the outputs; where each block leaves a part, which one has what is the device's own.
    """
    return Case(name, shape, partial(_launch, name, work, arguments, total), allowed)


def _launch(name: str, work: Work, arguments: tuple, total: bool, device: Device, dtype) -> list[np.ndarray]:
    given = [_to_device(a, device, dtype) for a in arguments]
    launch(name, work, *given)
    outputs = [device.to_host(a) for a, p in zip(given, signature_of(name), strict=True) if p.pointer and not p.const]
    return [np.sum(output, keepdims=True, dtype=np.float64) for output in outputs] if total else outputs


def _to_device(argument, device: Device, dtype):
    if isinstance(argument, Out):
        unwritten = np.dtype(argument.dtype or dtype)
        argument = np.full(argument.shape, np.nan if unwritten.kind == "f" else 99, unwritten)
    elif not isinstance(argument, np.ndarray):
        return argument
    return device.from_host(argument.astype(dtype) if argument.dtype.kind == "f" else argument)


def by(*sizes: int) -> str:
    """A shape in words."""
    return "x".join(map(str, sizes))
