"""What the epochs of a training give, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from minivae.evaluation.evaluate import Score


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave."""

    number: int
    step: int
    train_cost: float
    test: Score | None      # None where there are no test images
    images_per_second: float
    seconds: float          # since training began
    active: int             # numbers of the code that differ from image to image, see collapse.active_units

    def row(self) -> dict[str, float | None]:
        """By the columns of metrics.csv."""
        total, reconstruction, kl, error = self.test or (None, None, None, None)
        return {"epoch": self.number, "step": self.step, "train_cost": self.train_cost, "test_cost": total,
                "test_reconstruction": reconstruction, "test_kl": kl, "images_per_second": self.images_per_second,
                "seconds": self.seconds, **({} if error is None else {"test_error": error})}


class Listener(Protocol):
    """Who is told how the training goes, between its steps; see terminal/report.py."""

    def progress(self, images: int, cost: float) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...
