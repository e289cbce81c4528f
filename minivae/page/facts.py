"""What is known of a run beside its model: how far it is, what it was asked for, on what it runs."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from minivae.data import Dataset
from minivae.evaluation.evaluate import Score
from minivae.fitting import settings_for
from minivae.models import VAE
from minivae.page.history import Row
from minivae.runs import Settings

TRAINING, FINISHED, STOPPED, SAVED = "training", "finished", "stopped", "saved"
ONLY_WITH_LABELS = ("semi", "label_weight", "label_kl", "consistency", "shift", "mirror", "erase")
DECISIVE = ("arch", "labels", "optimizer", "epochs")        # settings that other settings' defaults depend on


@dataclass(frozen=True)
class Facts:
    """Of a run.

    Attributes:
        name: of its folder.
        state: TRAINING, FINISHED, STOPPED, or SAVED for a model that no training left.
        epoch: how many are over.
        rows: of its epochs, see history.read.
        score: of the model as it is kept; None to take the last row's.
        image_shape: (height, width, channels).
        train_count, test_count: how many images; None where the data was not found.
        parameters: how many numbers the model has learned.
        surroundings: see surroundings().
        note: what is to be said of the page's images; None for nothing.
    """

    name: str
    settings: Settings
    state: str
    epoch: int
    rows: list[Row]
    score: Score | None
    image_shape: tuple[int, int, int]
    train_count: int | None
    test_count: int | None
    parameters: int
    surroundings: list[tuple[str, str]]
    note: str | None = None

    def last(self, name: str) -> float | None:
        """The last epoch's number of a column that has one."""
        return next((row[name] for row in reversed(self.rows) if name in row), None)

    @property
    def test(self) -> Score | None:
        """The mean cost of the test images: of the model as it is kept, else after the last epoch."""
        total, reconstruction, kl = (self.last(f"test_{part}") for part in ("cost", "reconstruction", "kl"))
        if self.score or None in (total, reconstruction, kl):
            return self.score
        return Score(total, reconstruction, kl, self.last("test_error"))

    @property
    def seconds(self) -> float | None:
        """Of training so far."""
        return self.last("seconds")

    @property
    def left(self) -> float | None:
        """Seconds that the rest of a training will take, if it goes on as it has gone."""
        if self.state != TRAINING or not self.seconds or not self.epoch:
            return None
        return self.seconds / self.epoch * (self.settings.epochs - self.epoch)

    @property
    def images_per_second(self) -> float | None:
        """The median over the epochs."""
        found = [row["images_per_second"] for row in self.rows if "images_per_second" in row]
        return float(np.median(found)) if found else None


def counts(dataset: Dataset | None) -> tuple[int | None, int | None]:
    """How many images there are to train on, and to test with."""
    return (None, None) if dataset is None else (len(dataset.train_images), len(dataset.test_images))


def parameters(model: VAE) -> int:
    """How many numbers a model has learned."""
    return sum(int(parameter.data.size) for _, parameter in model.named_parameters())


def surroundings(noted: list[dict[str, object]]) -> list[tuple[str, str]]:
    """(what, in words) of what a run was last trained with: device, versions, commit.

    Args:
        noted: see runs.versions.read, at least one.
    """
    last = noted[-1]
    found = [(name, str(last[name])) for name in ("device",) if last.get(name)]
    named = {"minivae": "minivae", "python": "Python", "numpy": "NumPy"}
    found.append(("versions", ", ".join(f"{words} {last[name]}" for name, words in named.items() if last.get(name))))
    if isinstance(git := last.get("git"), dict) and git.get("commit"):
        found.append(("commit", f"{git['commit']}{', with changes' if git.get('dirty') else ''}"))
    if len(noted) > 1:
        found.append(("gone on", "once" if len(noted) == 2 else f"{len(noted) - 1} times"))
    return found


def changed(settings: Settings, count: int) -> dict[str, object]:
    """The settings that are not what they are where nothing is said, and what they would be.

    Args:
        count: how many training images there are.
    """
    first = settings_for({"arch": settings.arch, "labels": settings.labels}, count)
    then = settings_for({name: getattr(settings, name) for name in DECISIVE}, count)
    usual = {"arch": Settings.arch, "labels": Settings.labels, "optimizer": first.optimizer, "epochs": first.epochs}
    defaults = {field.name: usual.get(field.name, getattr(then, field.name)) for field in fields(Settings)}
    return {name: default for name, default in defaults.items() if getattr(settings, name) != default}


def in_play(settings: Settings) -> list[str]:
    """The names of the settings that make a difference to that run."""
    idle = {"channels": settings.arch != "conv", "sigma": settings.likelihood != "gaussian",
            "binarize": settings.likelihood != "bernoulli", **{name: settings.labels is None for name in ONLY_WITH_LABELS}}
    return [field.name for field in fields(Settings) if not idle.get(field.name)]
