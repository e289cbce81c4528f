"""The checkpoints of a run: the last few states of its training, and the model of the best epoch.

    checkpoints/step-00012000.safetensors       a state of the training, by the steps made
    checkpoints/best.safetensors                the model that had the lowest test cost
    checkpoint.safetensors                      the only one of older runs, and of models saved from Python
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minivae import checkpoint
from minivae.errors import MinivaeError, MinivaeWarning, UsageError
from minivae.runs.sound import sound

KEEP = 2        # states, where nothing is said: a second one in case that the newest is damaged
LAST, BEST = "last", "best"
Loaded = tuple[dict[str, np.ndarray], dict]         # (arrays, facts), see checkpoint.load


class Checkpoints:
    """The checkpoints in a run folder.

    Args:
        run: the run folder.

    Attributes:
        best: the path of the best epoch's model; it need not exist.
        single: the path of the only checkpoint of older runs and saved models; it need not exist.
    """

    def __init__(self, run: Path):
        self.folder = run / "checkpoints"
        self.best = self.folder / "best.safetensors"
        self.single = run / "checkpoint.safetensors"

    def path(self, step: int) -> Path:
        """Where the state after so many steps is, or would be."""
        return self.folder / f"step-{step:08d}.safetensors"

    def steps(self) -> list[int]:
        """After how many steps there is a state, the newest first.

        Raises:
            MinivaeError: the folder cannot be read.
        """
        try:
            names = os.listdir(self.folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise MinivaeError(f"cannot read {self.folder}: {error.strerror or error}; let it be read") from error
        found = (re.fullmatch(r"step-(\d{8,})\.safetensors", name) for name in names)
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def all(self) -> list[Path]:
        """The states' files that are there, the newest first."""
        return [*map(self.path, self.steps()), *([self.single] if self.single.exists() else [])]

    def save(self, arrays: dict[str, np.ndarray], facts: dict, keep: int = KEEP) -> None:
        """Write a state; once it is whole, all but the newest `keep` go.

        Args:
            facts: see checkpoint.save; `step` names the file.

        Raises:
            MinivaeError: it cannot be written; what was there is as it was.
        """
        self._make_folder()
        checkpoint.save(self.path(facts["step"]), arrays, facts)
        for step in [s for s in self.steps() if s <= facts["step"]][keep:]:
            self.path(step).unlink(missing_ok=True)

    def save_best(self, arrays: dict[str, np.ndarray], facts: dict) -> None:
        """Write the best epoch's model in place of the one before.

        Raises:
            MinivaeError: it cannot be written; what was there is as it was.
        """
        self._make_folder()
        checkpoint.save(self.best, arrays, facts)

    def load(self, which: str | int = LAST) -> Loaded:
        """A checkpoint.

        Args:
            which: "last", the newest that is whole, where a warning names those that are not; "best"; or the number of steps
                after which it was written.

        Raises:
            UsageError: there is no such checkpoint.
            MinivaeError: it is damaged, or all are.
        """
        if which == LAST:
            return self._last()
        path = self.best if which == BEST else self.path(int(which)) if str(which).isdecimal() else None
        if path is None or not path.exists():
            there = [*map(str, self.steps()), *([BEST] if self.best.exists() else []), LAST]
            raise UsageError(f"there is no checkpoint {which} in {self.folder}: take one of {', '.join(there)}")
        return _whole(path)

    def _last(self) -> Loaded:
        failure = None
        for path in self.all():
            try:
                found = _whole(path)
            except MinivaeError as error:
                failure = failure or error
                continue
            if failure:
                warnings.warn(f"{failure}. Instead the one before is taken, {path}", MinivaeWarning, stacklevel=3)
            return found
        raise failure or MinivaeError(f"there is no checkpoint in {self.folder.parent} yet; train first, or name another run")

    def facts(self) -> dict | None:
        """The facts of the newest checkpoint whose beginning can be read, otherwise unchecked; None where there is none.

        Raises:
            MinivaeError: none of them can be read.
        """
        failure = None
        for path in self.all():
            try:
                return sound(path, checkpoint.facts(path))
            except MinivaeError as error:
                failure = failure or error
        if failure:
            raise failure
        return None

    def set_aside(self, after: int) -> None:
        """Rename the states after more than so many steps, which the training now makes anew: to *.old.

        Raises:
            MinivaeError: the folder cannot be written.
        """
        self._each_later(after, lambda path: path.replace(path.with_suffix(".old")))

    def remove(self, after: int) -> None:
        """Remove the states after more than so many steps.

        Raises:
            MinivaeError: the folder cannot be written.
        """
        self._each_later(after, lambda path: path.unlink(missing_ok=True))

    def _each_later(self, after: int, do: Callable[[Path], object]) -> None:
        """Do something to the file of every state after more than so many steps."""
        try:
            for step in self.steps():
                if step > after:
                    do(self.path(step))
        except OSError as error:
            raise MinivaeError(f"cannot write {self.folder}: {error.strerror or error}; let it be written") from error

    def forget_training(self) -> None:
        """Remove all but the single one, and the folder where nothing else is in it."""
        for path in (*map(self.path, self.steps()), self.best, *self.folder.glob("step-*.old")):
            path.unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:     # not there, or somebody put something else there
            pass

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise MinivaeError(f"cannot make {self.folder}: {error.strerror or error}; make room there, or let it be "
                               "written") from error


def _whole(path: Path) -> Loaded:
    arrays, facts = checkpoint.load(path)
    return arrays, sound(path, facts)
