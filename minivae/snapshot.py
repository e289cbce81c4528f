"""A copy of all that training and evaluating change, to go back to."""

from __future__ import annotations

from minivae.device import empty_like
from minivae.nn import Flat, Module
from minivae.optim import Average, Optimizer, Schedule


class Snapshot:
    """A training's state as it is now, on its device: parameters, the optimizer's state, the average of the weights, batch
    norm's statistics, what the schedule goes on with. It is one copy of each flat array, and lies beside them as long as it
    lives.

    Args:
        model: what is trained.
        flat: its parameters.
        optimizer, schedule: theirs.
        average: of the weights, None for none; not in use now.
    """

    def __init__(self, model: Module, flat: Flat, optimizer: Optimizer, schedule: Schedule, average: Average | None = None):
        self._model, self._flat, self._optimizer, self._schedule, self._average = model, flat, optimizer, schedule, average
        self._arrays = [flat.values, *optimizer.state.values(), *([average.values] if average else [])]
        self._kept = [empty_like(array) for array in self._arrays]
        self.take()

    def take(self) -> None:
        """Keep the state as it is now in place of what was kept."""
        for kept, array in zip(self._kept, self._arrays, strict=True):
            kept[...] = array
        self._facts = self._optimizer.facts(), self._schedule.facts(), self._average.steps if self._average else 0
        # Statistics that are computed anew lie in new arrays: these keep theirs.
        self._statistics = [(module, name, getattr(module, name)) for _, module, name, _ in self._model.named_buffers()]

    def put_back(self) -> None:
        """Give the training the state that was kept, bit for bit; gradients are forgotten."""
        for kept, array in zip(self._kept, self._arrays, strict=True):
            array[...] = kept
        optimizer, schedule, averaged = self._facts
        for name, value in optimizer.items():
            setattr(self._optimizer, name, value)
        self._schedule.restore(schedule)
        if self._average:
            self._average.steps = averaged
        for module, name, value in self._statistics:
            setattr(module, name, value)
        self._flat.changed()
        self._flat.clear_grad()
