"""What a training leaves in its run folder while it goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

from minivae.clock import Every
from minivae.errors import MinivaeError, MinivaeWarning
from minivae.runs.checkpoints import KEEP, Loaded
from minivae.runs.folder import Run
from minivae.runs.metrics import Metrics

SAVE_EVERY = 60.0       # seconds between checkpoints


class Journal:
    """Writes a run's metrics and checkpoints: the first at the end of the first epoch, then by the clock.

    What cannot be written while training goes on is a warning, and tried again with the next checkpoint; what was there
    stays whole. The model of the best epoch is kept in memory until a checkpoint is written: a run that is killed before
    goes on from a state in which that epoch is still to come.

    Args:
        run: the folder, which is locked.
        save_every: seconds between checkpoints.
        keep: how many states are kept.

    Attributes:
        best: {"cost", "epoch"} of the epoch with the lowest test cost so far, training cost where there are no test images.
        saved_step: steps made before the newest checkpoint; 0 where there is none.
    """

    def __init__(self, run: Run, save_every: float = SAVE_EVERY, keep: int = KEEP):
        self.run, self.keep = run, keep
        self.best: dict | None = None
        self.saved_step = 0
        self.metrics = Metrics(run.metrics)
        self._every, self._first = Every(save_every), True
        self._best_model: Loaded | None = None      # not yet written

    def epoch(self, values: Mapping[str, object], cost: float, model: Callable[[], Loaded]) -> None:
        """An epoch is over.

        Args:
            values: see Metrics.append.
            cost: the test cost.
            model: gives the model that had it, arrays on the host and facts.
        """
        self.consider(cost, values["epoch"], model)
        try:
            self.metrics.append(values)
        except MinivaeError as error:
            warnings.warn(f"{error}. Training goes on, and the line is written as soon as it can be", MinivaeWarning,
                          stacklevel=2)

    def consider(self, cost: float, epoch: int, model: Callable[[], Loaded]) -> None:
        """Keep a model where its cost is the lowest so far; see epoch()."""
        if self.best is None or cost < self.best["cost"]:
            self.best = {"cost": cost, "epoch": epoch}
            self._best_model = model()

    def due(self, epochs: int) -> bool:
        """Whether a checkpoint is to be written now.

        Args:
            epochs: how many are over.
        """
        first, self._first = self._first and epochs > 0, self._first and epochs == 0
        if first:
            self._every.again()
        return first or self._every.due()

    def save(self, arrays: dict, facts: dict) -> None:
        """Write a checkpoint, and before it what it goes on from.

        Raises:
            MinivaeError: it cannot be written.
        """
        self.metrics.flush(sync=True)
        if self._best_model:
            self.run.checkpoints.save_best(*self._best_model)
            self._best_model = None
        self.run.checkpoints.save(arrays, facts, self.keep)
        self.saved_step = facts["step"]

    def try_to_save(self, arrays: dict, facts: dict) -> None:
        """Write a checkpoint; where that fails, warn."""
        try:
            self.save(arrays, facts)
        except MinivaeError as error:
            kept = f"the checkpoint after step {self.saved_step:,} stays" if self.saved_step else "there is no checkpoint yet"
            warnings.warn(f"{error}. Training goes on and tries again in {self._every.seconds:g} s; {kept}", MinivaeWarning,
                          stacklevel=2)

    def go_back(self, step: int, state: Callable[[], Loaded]) -> None:
        """The training has gone back from where it exploded: states on the way there are none to go on from, or to be used.
        They go, once the state that it has gone back to is written in their place; where that fails, warn.

        Args:
            step: steps made before the state that it has gone back to.
            state: gives it.
        """
        if self.saved_step <= step:
            return
        self.try_to_save(*state())
        if self.saved_step == step:
            try:
                self.run.checkpoints.remove(step)
            except MinivaeError as error:
                warnings.warn(f"{error}. It holds a state of a training that exploded", MinivaeWarning, stacklevel=2)

    def restore(self, facts: Mapping[str, object]) -> None:
        """Go on from a checkpoint's facts: what was written of later steps goes.

        Raises:
            MinivaeError: the folder cannot be read or written.
        """
        step = facts["step"]
        self.metrics.cut(step)
        self.run.checkpoints.set_aside(step)
        self.best, self._best_model = facts.get("best"), None
        self.saved_step = max(self.run.checkpoints.steps(), default=step if self.run.checkpoints.single.exists() else 0)
        self._first = False
        self._every.again()
