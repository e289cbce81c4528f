"""What is done about a training that explodes: back to the last good state, and on with a smaller learning rate."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping

import numpy as np

from minivae.errors import MinivaeError, MinivaeWarning
from minivae.training.snapshot import Snapshot

TIMES = 3           # that a training goes back, at most
LESS = 0.3          # factor of the learning rate, each time
FAR = 10.0          # times the size of the largest cost so far, above the lowest one: a cost beyond that has exploded


class Diverged(MinivaeError):
    """The cost or a parameter became NaN or infinite, or the cost rose far above all that it had been.

    Attributes:
        what: the same in short.
    """

    everywhere = True

    def __init__(self, what: str, message: str):
        super().__init__(message)
        self.what = what


class Recovery:
    """Keeps the last good state of a training, goes back to it, and counts.

    A state is good at the end of an epoch whose cost was no explosion and which left parameters that are finite; the first
    is the one before the first step. What decides are sums over whole epochs and the first step's cost, never a look in
    between, so that a training goes back at the same steps whenever it is repeated, or stopped and resumed. The steps after
    it have the noise and the images that they had before; it is the rate that differs.

    Args:
        take: makes a snapshot of the training.

    Attributes:
        factor: of the learning rate from now on.
        times: that the training went back.
        most: that it may.
    """

    def __init__(self, take: Callable[[], Snapshot]):
        self._take, self._snapshot = take, None
        self.factor, self.times, self.most = 1.0, 0, TIMES
        self._lowest, self._largest = math.inf, 0.0     # cost, and size of a cost, so far

    def begin(self) -> None:
        """Training begins, or goes on: keep the state as it is now, unless restore() gave one."""
        self._snapshot = self._snapshot or self._take()

    def exploded(self, cost: float) -> bool:
        """Whether a cost that is minimized is far above those so far."""
        return self._largest > 0 and cost > self._lowest + FAR * self._largest

    def observe(self, cost: float) -> None:
        """Remember a cost that is minimized as a good one."""
        self._lowest, self._largest = min(self._lowest, cost), max(self._largest, abs(cost))

    def keep(self) -> None:
        """The state as it is now is a good one."""
        self._snapshot.take()

    def error(self, what: str, rate: float, kept: str) -> Diverged:
        """What to raise.

        Args:
            what: has happened, and where.
            rate: the learning rate that the training was asked for.
            kept: where what was trained so far lies.
        """
        again = (f", also after going back {self.times} times, at last to {self.factor:.2g} of the learning rate" if self.times
                 else "")
        return Diverged(what, f"{what}{again}: a learning rate of {rate:g} is probably too large, try --learning-rate "
                              f"{rate * self.factor / 10:.3g}; {kept}")

    def go_back(self, error: Diverged) -> None:
        """Give the training its last good state, and a smaller rate; says so in a warning.

        Raises:
            Diverged: the error, where it has gone back `most` times already.
        """
        if self.times >= self.most:
            raise error
        self.times, self.factor = self.times + 1, self.factor * LESS
        self._snapshot.put_back()
        warnings.warn(f"{error.what}: the training goes back to where it was after step {self._snapshot.steps:,} and on "
                      f"with {self.factor:.2g} of its learning rate, {self.times} of {self.most} times", MinivaeWarning, stacklevel=2)

    def state(self, apart: bool) -> tuple[dict[str, np.ndarray], dict]:
        """(arrays on the host, facts) that restore() takes.

        Args:
            apart: whether the training is no longer in its last good state, which then is among the arrays.
        """
        arrays, facts = self._snapshot.to_host() if apart and self._snapshot else ({}, None)
        return arrays, {"factor": self.factor, "times": self.times, "lowest": self._lowest, "largest": self._largest,
                        "good": facts}

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping | None) -> None:
        """Go on from another one's state(), in a training that has been given its own.

        Args:
            facts: None for a training that was saved before there was any of this.
        """
        self._snapshot = None
        if facts is None:
            return
        self.factor, self.times = facts["factor"], facts["times"]
        self._lowest, self._largest = facts["lowest"], facts["largest"]
        if facts["good"]:
            self._snapshot = self._take()
            self._snapshot.set(arrays, facts["good"])
