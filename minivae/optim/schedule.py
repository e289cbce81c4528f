"""Schedules: the factor of the learning rate in each step of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping

from minivae.errors import MinivaeError


class Schedule:
    """A factor of the learning rate that stays 1 after the warm-up; the base of the others.

    Args:
        steps: of the whole training.
        warm_up: so many steps at the start the factor rises to its first value, in equal steps; the schedule itself
            goes over the steps that are left.

    Attributes:
        ENDS: whether the factors go by how many steps there will be, so that a training cannot go on beyond them.
    """

    ENDS = True

    def __init__(self, steps: int, warm_up: int = 0):
        self.steps, self.warm_up = steps, warm_up

    def factor(self, step: int) -> float:
        """Of step number `step`, counted from 0."""
        if step < self.warm_up:
            return (step + 1) / self.warm_up * self.shape(0.0)
        return self.shape((step - self.warm_up) / max(1, self.steps - self.warm_up))

    def shape(self, done: float) -> float:
        """The factor once that share of the steps after the warm-up is done."""
        return 1.0

    def observe(self, cost: float) -> None:
        """An epoch is over, with that mean training cost."""

    def facts(self) -> dict[str, float]:
        """What of the past it goes on with: plain numbers, to be saved."""
        return {}

    def restore(self, facts: Mapping[str, float]) -> None:
        """Go on from another one's facts().

        Raises:
            MinivaeError: they are of another kind of schedule; nothing is changed then.
        """
        if set(facts) != set(self.facts()):
            raise MinivaeError(f"the saved schedule has the numbers {', '.join(sorted(facts)) or 'none'}, but "
                               f"{type(self).__name__} needs {', '.join(sorted(self.facts())) or 'none'}: take the schedule "
                               "that was saved")
        for name in self.facts():
            setattr(self, name, facts[name])


class Constant(Schedule):
    """The same rate to the end."""

    ENDS = False


class Step(Schedule):
    """A tenth after half of the training, a hundredth after three quarters (He et al. 2016)."""

    def shape(self, done: float) -> float:
        return 1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01


class Exponential(Schedule):
    """Falls by the same factor in every step, to a hundredth: 0.01^done."""

    def shape(self, done: float) -> float:
        return 0.01**done


class Cosine(Schedule):
    """Half a cosine down to 0, without restarts (Loshchilov & Hutter 2017): (1 + cos(pi done)) / 2."""

    def shape(self, done: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * done))


class OneCycle(Schedule):
    """Half a cosine up from 1/25 to 1 over 30% of the training, half a cosine down to 1/10,000 over the rest
    (Smith & Topin 2018)."""

    RISE, START, END = 0.3, 1 / 25, 1e-4

    def shape(self, done: float) -> float:
        if done < self.RISE:
            return _between(self.START, 1.0, done / self.RISE)
        return _between(1.0, self.END, (done - self.RISE) / (1 - self.RISE))


class Plateau(Schedule):
    """Halves after three epochs in a row whose training cost is not below 0.999 of the lowest before."""

    ENDS = False
    PATIENCE, LESS, BETTER = 3, 0.5, 0.999

    def __init__(self, steps: int, warm_up: int = 0):
        super().__init__(steps, warm_up)
        self.best, self.bad, self.now = math.inf, 0, 1.0

    def shape(self, done: float) -> float:
        return self.now

    def observe(self, cost: float) -> None:
        if cost < self.BETTER * self.best:
            self.best, self.bad = cost, 0
            return
        self.bad += 1
        if self.bad == self.PATIENCE:
            self.now, self.bad = self.now * self.LESS, 0

    def facts(self) -> dict[str, float]:
        return {"best": self.best, "bad": self.bad, "now": self.now}


def _between(first: float, last: float, done: float) -> float:
    """From `first` to `last` by half a cosine."""
    return last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))


SCHEDULES: dict[str, type[Schedule]] = {"constant": Constant, "step": Step, "exponential": Exponential, "cosine": Cosine,
                                        "one-cycle": OneCycle, "plateau": Plateau}
