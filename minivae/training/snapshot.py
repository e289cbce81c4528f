"""A copy of all that training and evaluating change, to go back to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minivae.device import device_of, empty_like
from minivae.errors import MinivaeError
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
        self._arrays = {"parameters": flat.values, **{f"state.{name}": array for name, array in optimizer.state.items()},
                        **({"average": average.values} if average else {})}
        self._kept = {name: empty_like(array) for name, array in self._arrays.items()}
        self.take()

    def take(self) -> None:
        """Keep the state as it is now in place of what was kept."""
        for name, array in self._arrays.items():
            self._kept[name][...] = array
        self._facts = {"optimizer": self._optimizer.facts(), "schedule": self._schedule.facts(),
                       "averaged": self._average.steps if self._average else 0}
        # Statistics that are computed anew lie in new arrays: these keep theirs.
        self._statistics = [(module, name, getattr(module, name)) for _, module, name, _ in self._model.named_buffers()]

    def put_back(self) -> None:
        """Give the training the state that was kept, bit for bit; gradients are forgotten."""
        self._optimizer.meet()
        for name, array in self._arrays.items():
            array[...] = self._kept[name]
        for name, value in self._facts["optimizer"].items():
            setattr(self._optimizer, name, value)
        self._schedule.restore(self._facts["schedule"])
        if self._average:
            self._average.steps = self._facts["averaged"]
        for module, name, value in self._statistics:
            setattr(module, name, value)
        self._flat.changed()
        self._flat.clear_grad()

    @property
    def steps(self) -> int:
        """Steps that were made when it was taken."""
        return self._facts["optimizer"]["steps"]

    def to_host(self) -> tuple[dict[str, np.ndarray], dict]:
        """(arrays on the host, facts as JSON has them) of what is kept, but for statistics: evaluations compute them anew."""
        return {name: device_of(array).to_host(array) for name, array in self._kept.items()}, self._facts

    def set(self, arrays: Mapping[str, np.ndarray], facts: dict) -> None:
        """Keep what another snapshot of the same training gave to the host.

        Raises:
            MinivaeError: it is of another training; nothing is changed then.
        """
        right = all(set(facts[part]) == set(self._facts[part]) for part in ("optimizer", "schedule"))
        for name, kept in self._kept.items():
            right = right and name in arrays and (arrays[name].shape, arrays[name].dtype) == (kept.shape, kept.dtype)
        if not right:
            raise MinivaeError("the state that a training would go back to is one of another training: take another "
                               "checkpoint, or train anew")
        for name, kept in self._kept.items():
            kept[...] = device_of(kept).from_host(arrays[name])
        self._facts = facts
