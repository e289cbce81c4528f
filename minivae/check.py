"""Gradients checked by finite differences.

The derivative along a direction v is taken twice: from the backward pass, <v, gradient>, and from
two forward passes, (f(x + h v) - f(x - h v)) / 2h. A random direction moves every element at once, so two forward
passes check a function of any size (directional_error); moving one element at a time says which is wrong (check_grad).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from minivae.device import Device, cpu
from minivae.tensor import Tensor, no_grad


def directional_error(f: Callable[..., Tensor], inputs: Sequence[np.ndarray], *, device: Device | None = None,
                      step: float = 1e-6, seed: int = 0, directions: int = 3) -> float:
    """The largest relative difference between the two derivatives over random directions.

    Args:
        f: a function of Tensors that returns a Tensor of one element.
        inputs: float64 arrays, the point to check at.
        device: where to compute.
        step: h; for float64 and smooth f about 1e-6 leaves 1e-9 of rounding and truncation.

    Returns:
        max |backward - numeric| / max(|backward|, |numeric|, 1e-8).
    """
    device = device or cpu()
    rng = np.random.default_rng(seed)

    def value(arrays) -> float:
        return f(*(Tensor(device.from_host(a)) for a in arrays)).item()

    leaves = [Tensor(device.from_host(a), requires_grad=True) for a in inputs]
    f(*leaves).backward()
    gradients = [np.zeros_like(a) if t.grad is None else device.to_host(t.grad)
                 for a, t in zip(inputs, leaves, strict=True)]
    worst = 0.0
    for _ in range(directions):
        vs = [rng.standard_normal(a.shape) for a in inputs]
        backward = sum(float((v * g).sum()) for v, g in zip(vs, gradients, strict=True))
        ahead, behind = (value([a + h * v for a, v in zip(inputs, vs, strict=True)]) for h in (step, -step))
        numeric = (ahead - behind) / (2 * step)
        worst = max(worst, abs(backward - numeric) / max(abs(backward), abs(numeric), 1e-8))
    return worst


class Mismatch(NamedTuple):
    """An element of an input whose gradient is wrong.

    Attributes:
        input: its number.
        index: of the element.
        expected: the derivative by finite differences.
        got: the one of the backward pass.
    """

    input: int
    index: tuple[int, ...]
    expected: float
    got: float


class Report(NamedTuple):
    """What check_grad found; true in a condition where nothing is wrong, and a table as text.

    Attributes:
        checked: how many elements were looked at.
        tolerance: the largest difference that is allowed, relative to the largest derivative of its input.
        worst: the largest difference found, in the same measure.
        mismatches: the elements beyond the tolerance, the worst first.
    """

    checked: int
    tolerance: float
    worst: float
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        return not self.mismatches

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        if self.ok:
            return f"gradients are right: {self.checked} elements, the largest relative difference is {self.worst:.1e}"
        lines = [f"gradients are wrong at {len(self.mismatches)} of {self.checked} elements (relative difference up to "
                 f"{self.worst:.1e}, allowed {self.tolerance:.1e})", f"{'input':>5}  {'index':<16} {'expected':>14} {'got':>14}"]
        lines += [f"{m.input:>5}  {str(m.index):<16} {m.expected:>14.7g} {m.got:>14.7g}" for m in self.mismatches[:10]]
        if len(self.mismatches) > 10:
            lines.append(f"       and {len(self.mismatches) - 10} more")
        return "\n".join(lines)

    __repr__ = __str__


def check_grad(f: Callable[..., Tensor], inputs: Sequence[np.ndarray], *, device: Device | None = None, step: float = 1e-5,
               tolerance: float = 1e-5, most: int = 200, seed: int = 0) -> Report:
    """Compare the gradients of a function with finite differences, element by element.

    A function of several elements is checked through its product with random numbers, so that each element counts.

    Args:
        f: a function of Tensors that returns a Tensor; the same for the same inputs, and smooth within `step` of them.
        inputs: float64 NumPy arrays, the point to check at.
        device: where to compute; by default the CPU.
        step: how far to move an element to either side.
        tolerance: the largest difference allowed, relative to the largest derivative of the same input; but at least what
            the rounding of f's values explains, so that a derivative of 0 is none that is wrong.
        most: look at so many elements of each input, drawn by `seed` where it has more.

    Raises:
        TypeError: an input that is not float64, whose rounding would drown the differences.
    """
    device = device or cpu()
    for number, a in enumerate(inputs):
        if getattr(a, "dtype", None) != np.float64:
            raise TypeError(f"check_grad: input {number} must be a float64 array, not {getattr(a, 'dtype', type(a).__name__)}")
    rng = np.random.default_rng(seed)
    leaves = [Tensor(device.from_host(a), requires_grad=True) for a in inputs]
    y = f(*leaves)
    weights = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)
    if y.requires_grad:
        y.backward(device.from_host(np.asarray(weights)))
    rounding = 4 * np.finfo(np.float64).eps * float(np.abs(weights * device.to_host(y.data)).sum()) / step
    checked, worst, wrong = 0, 0.0, []
    for number, (a, leaf) in enumerate(zip(inputs, leaves, strict=True)):
        places = np.arange(a.size) if a.size <= most else np.sort(rng.choice(a.size, most, replace=False))
        gradient = np.zeros_like(a) if leaf.grad is None else device.to_host(leaf.grad)
        got = gradient.reshape(-1)[places]
        expected = np.array([_slope(f, inputs, number, place, weights, device, step) for place in places])
        largest = max(np.abs(expected).max(initial=0.0), np.abs(got).max(initial=0.0), rounding / tolerance, 1e-8)
        errors = np.abs(got - expected) / largest
        errors[np.isnan(errors)] = np.inf
        checked, worst = checked + len(places), max(worst, errors.max(initial=0.0))
        wrong += [(error, Mismatch(number, tuple(map(int, np.unravel_index(place, a.shape))), float(e), float(g)))
                  for error, place, e, g in zip(errors, places, expected, got, strict=True) if error > tolerance]
    wrong.sort(key=lambda pair: -pair[0])
    return Report(checked, tolerance, float(worst), tuple(mismatch for _, mismatch in wrong))


def _slope(f, inputs, number: int, place: int, weights: np.ndarray, device: Device, step: float) -> float:
    """The derivative of sum(weights f) along one element of one input, by central differences."""
    sides = []
    for side in (step, -step):
        moved = [a.copy() if i == number else a for i, a in enumerate(inputs)]
        moved[number].reshape(-1)[place] += side
        with no_grad():
            y = f(*(Tensor(device.from_host(a)) for a in moved))
        sides.append(float((weights * device.to_host(y.data)).sum()))
    return (sides[0] - sides[1]) / (2 * step)
