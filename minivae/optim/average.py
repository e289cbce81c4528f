"""An exponential moving average of the weights, to be used in their place once they have been trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minivae.device import device_of
from minivae.kernels import launch
from minivae.nn import Flat
from minivae.work import elements


class Average:
    """An exponential moving average of the weights (Polyak & Juditsky 1992; its warm-up is TensorFlow's).

    e <- b e + (1 - b) p after each step, b = min(decay, (1 + t) / (10 + t)) after step number t, so that the first weights
    are soon forgotten. One launch of its own a step.

    Args:
        flat: the parameters; the average begins as what they are now.
        decay: in (0, 1).

    Attributes:
        values: the average, an array like flat.values.
        steps: how many steps it has seen.
    """

    def __init__(self, flat: Flat, decay: float):
        self.flat, self.decay, self.steps = flat, decay, 0
        self.values = device_of(flat.values).zeros(flat.values.shape, flat.values.dtype)
        self.values[...] = flat.values

    def step(self) -> None:
        """Take the parameters as they are now into the average."""
        self.steps += 1
        rest = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        launch("moving_average", elements(self.values.size), self.values, self.flat.values, self.values.size, rest)

    def swap(self) -> None:
        """Exchange the parameters and the average."""
        kept = device_of(self.values).empty(self.values.shape, self.values.dtype)
        kept[...] = self.values
        self.values[...] = self.flat.values
        self.flat.values[...] = kept
        self.flat.changed()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this context the model has the average as its parameters, and `values` are the trained ones."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
