"""Run folders: what a training leaves behind, and how to use it again.

runs/<name>/
    settings.toml           what was asked for
    metrics.csv             a line an epoch
    checkpoint.safetensors  parameters, statistics, optimizer state
    eval.json               what `minivae eval` has measured
    skipped.txt             of pictures: the files that could not be read, and why
    source.png reconstructions.png samples.png
    grid.png transfer.png   of a run with labels: draws, and test images, in every class
"""

from __future__ import annotations

import csv
import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from minivae import __version__, checkpoint, models
from minivae.data.reading import NAMES as READING
from minivae.data.reading import Reading
from minivae.device import Device
from minivae.errors import MinivaeError, UsageError
from minivae.files import replacing
from minivae.models import ARCHITECTURES, VAE
from minivae.models.conv import by_new_names

OPTIMIZER = "optimizer."        # begins the names of an optimizer's arrays in a checkpoint
PICTURES = ("source.png", "reconstructions.png", "samples.png", "grid.png", "transfer.png")
KINDS = {"int": int, "int | None": int, "float": (int, float), "float | None": (int, float), "bool": bool,
         "str": str, "tuple[int, ...]": tuple}      # of the settings' fields
COLUMNS = ("epoch", "step", "train_cost", "test_cost", "test_reconstruction", "test_kl", "images_per_second", "seconds")
LABELLED = (*COLUMNS, "test_error")     # where there are labels


@dataclass(frozen=True)
class Settings:
    """What a run was asked for; all of it goes into the run folder, but for what is None.

    Attributes:
        warm_up: epochs over which the learning rate rises at the start.
        rescale: the global norm that longer gradients are rescaled to; 0 for never, None for the optimizer's own.
        clip: the largest size of an element of the gradient; 0 for any.
        weight_decay: None for the optimizer's own.
        ema: decay of the average of the weights that is evaluated and kept in their place; 0 for none.
        likelihood, sigma, binarize: see models.likelihoods.likelihood.
        beta, free_bits: see models.Weights.
        kl_warm_up: epochs over which beta rises from 0 at the start.
        samples: codes an image, once the warm-up is over; from 2 on the importance-weighted bound is minimized.
        labels: how many training images have a label, 0 to all; None for a model that knows of no classes.
        semi: a key of models.SEMI, which model where there are labels.
        label_weight, label_kl: see models.Weights.
        consistency, shift, mirror: likewise; consistency rises from 0 over the first epoch.
        size, fit, colour, labels_from, test_share, split_seed, skip_share: see data.Reading.
    """

    arch: str = "ff"
    data: str = "digits"
    epochs: int = 60
    batch_size: int = 100
    optimizer: str = "rmsprop"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warm_up: float = 0.0
    rescale: float | None = None
    clip: float = 0.0
    weight_decay: float | None = None
    ema: float = 0.0
    hidden: tuple[int, ...] = (512, 512, 256)
    code: int = 384
    channels: tuple[int, ...] = ()
    likelihood: str = "squared-error"
    sigma: float | None = None
    binarize: bool = False
    beta: float = 1.0
    kl_warm_up: float = 0.0
    free_bits: float = 0.0
    samples: int = 1
    labels: int | None = None
    semi: str = "shared"
    label_weight: float = 500.0
    label_kl: float | None = None
    consistency: float = 0.0
    shift: int = 0
    mirror: bool = False
    seed: int = 0
    size: tuple[int, ...] = ()
    fit: str = Reading.fit
    colour: str = Reading.colour
    labels_from: str = Reading.labels_from
    test_share: float = Reading.test_share
    split_seed: int = Reading.split_seed
    skip_share: float = Reading.skip_share

    @property
    def reading(self) -> Reading:
        """How the files of the data become images."""
        return Reading(**{name: getattr(self, name) for name in READING})


class Run:
    """A run folder.

    Attributes:
        folder: its path.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.checkpoint = self.folder / "checkpoint.safetensors"
        self.metrics = self.folder / "metrics.csv"
        self.evaluation = self.folder / "eval.json"
        self.skipped = self.folder / "skipped.txt"

    @classmethod
    def create(cls, settings: Settings, folder: str | os.PathLike | None = None,
               fix: str = "name a new folder with --out") -> Run:
        """Make the folder (runs/<data>-<arch>-<number> where none is given) and write the settings.

        Args:
            fix: what errors advise.

        Raises:
            UsageError: the folder holds a run or something else already.
            MinivaeError: it cannot be written.
        """
        try:
            stem = f"{Path(settings.data).resolve().name}-{settings.arch}"
            run = cls._numbered(Path("runs"), stem) if folder is None else cls(folder)
            if folder is not None:
                run.folder.mkdir(parents=True, exist_ok=True)
                if any(run.folder.iterdir()):
                    what = "a run" if run.exists else "other files"
                    raise UsageError(f"{run.folder} already holds {what}; {fix}")
        except OSError as error:
            raise MinivaeError(f"cannot make the run folder {error.filename or folder}: {error.strerror}; {fix}") from error
        run._write(settings)
        return run

    def save(self, model: VAE, settings: Settings) -> None:
        """Make this the folder of a trained model alone; what a training and an evaluation have written here beside it goes.

        Raises:
            MinivaeError: it cannot be written.
        """
        facts = {"minivae": __version__, "settings": asdict(settings), "image_shape": model.image_shape,
                 "classes": model.classes, "class_names": model.class_names}
        checkpoint.save(self.checkpoint, {k: model.device.to_host(v) for k, v in model.state_dict().items()}, facts)
        self._write(settings)
        for path in (self.metrics, self.evaluation, self.skipped, *(self.folder / name for name in PICTURES)):
            path.unlink(missing_ok=True)

    def _write(self, settings: Settings) -> None:
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in asdict(settings).items() if value is not None)
        with replacing(self.folder / "settings.toml") as file:
            file.write(text.encode())

    def note_skipped(self, skipped: Sequence[tuple[str, str]]) -> None:
        """Leave a list of (file, reason) there, where there are any."""
        if skipped:
            with replacing(self.skipped) as file:
                file.write("".join(f"{name}: {reason}\n" for name, reason in skipped).encode())

    @property
    def exists(self) -> bool:
        """Whether a run, or a part of one, is in the folder."""
        return (self.folder / "settings.toml").exists()

    def discard_unless_saved(self) -> bool:
        """Remove what a run has written if it stopped before its first checkpoint. Returns whether one is there."""
        if self.checkpoint.exists():
            return True
        for path in (self.metrics, self.skipped, self.folder / "settings.toml"):
            path.unlink(missing_ok=True)
        try:
            self.folder.rmdir()
        except OSError:     # somebody put something else there
            pass
        return False

    @classmethod
    def _numbered(cls, parent: Path, stem: str) -> Run:
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1_000_000):
            try:
                (parent / f"{stem}-{number}").mkdir()
                return cls(parent / f"{stem}-{number}")
            except FileExistsError:
                continue
        raise UsageError(f"{parent} holds a million runs of {stem}; name a folder with --out")

    def settings(self) -> Settings:
        """The settings of an existing run.

        Raises:
            UsageError: there is no run in this folder.
            MinivaeError: its settings are damaged.
        """
        path = self.folder / "settings.toml"
        try:
            found = tomllib.loads(path.read_text())
            return checked(found)
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(f"there is no run in {self.folder} (it has no settings.toml); name the folder that "
                             "minivae train wrote") from None
        except (OSError, ValueError) as error:
            raise MinivaeError(f"{path} cannot be used: {error}; restore it or train again") from error

    def append_metrics(self, **values) -> None:
        """Add a line to metrics.csv; numbers are rounded to six digits.

        Args:
            values: by column, all of COLUMNS or all of LABELLED.
        """
        columns = LABELLED if "test_error" in values else COLUMNS
        new = not self.metrics.exists()
        try:
            with self.metrics.open("a", newline="") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(columns)
                writer.writerow([f"{values[c]:.6g}" if isinstance(values[c], float) else values[c] for c in columns])
        except OSError as error:
            raise MinivaeError(f"cannot write {self.metrics}: {error.strerror}; make room and start again") from error

    def load(self, device: Device) -> tuple[VAE, Settings]:
        """The trained model, in evaluation, and its settings.

        Raises:
            MinivaeError: the checkpoint is missing, damaged, or made with other settings.
        """
        settings = self.settings()
        arrays, facts = checkpoint.load(self.checkpoint)
        trained = {**asdict(Settings()), **_with_tuples(facts["settings"])}     # older runs lack the newer settings
        if differ := sorted(k for k, v in asdict(settings).items() if trained.get(k) != v):
            raise MinivaeError(f"{self.folder / 'settings.toml'} is not what the checkpoint was trained with: {differ[0]} was "
                               f"{trained.get(differ[0])!r}; put that back")
        model = build(settings, tuple(facts["image_shape"]), device, facts.get("classes", 0))
        names = facts.get("class_names")
        if isinstance(names, list) and len(names) == model.classes:
            model.class_names = tuple(map(str, names))
        model.load_state_dict(model_state(arrays, settings.arch))
        model.eval()
        return model, settings


def model_state(arrays: dict[str, np.ndarray], arch: str) -> dict[str, np.ndarray]:
    """The model's part of a checkpoint's arrays, by the names of this version; the rest is the optimizer's."""
    state = {name: value for name, value in arrays.items() if not name.startswith(OPTIMIZER)}
    return by_new_names(state) if arch == "conv" else state


def _with_tuples(found: dict) -> dict:
    """Settings as TOML or JSON give them, lists as the tuples that they were."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def checked(found: dict) -> Settings:
    """Settings of the right names and types; lists as TOML has them become tuples.

    Raises:
        ValueError: the first that is wrong.
    """
    found = _with_tuples(found)
    types = {field.name: field.type for field in fields(Settings)}
    if unknown := found.keys() - types.keys():
        raise ValueError(f"unknown settings {', '.join(sorted(unknown))}")
    for name, value in found.items():
        whole = types[name] == "tuple[int, ...]" and isinstance(value, tuple)
        if not isinstance(value, KINDS[types[name]]) or isinstance(value, bool) != (types[name] == "bool") or (
                whole and not all(isinstance(v, int) for v in value)):
            raise ValueError(f"{name} = {value!r} is no {types[name]}")
    if found.get("arch", "ff") not in ARCHITECTURES:
        raise ValueError(f"arch = {found['arch']!r} is none of {', '.join(ARCHITECTURES)}")
    return Settings(**found)


def build(settings: Settings, image_shape: tuple[int, int, int], device: Device, classes: int = 0) -> VAE:
    """The untrained model that the settings describe.

    Args:
        classes: how many the labels tell apart; 0 where there are none.

    Raises:
        UsageError: settings that no model can have.
    """
    return models.build(settings.arch, image_shape, device, hidden=settings.hidden, code=settings.code,
                        channels=settings.channels, likelihood=settings.likelihood, sigma=settings.sigma,
                        binarize=settings.binarize, classes=classes, semi=settings.semi, seed=settings.seed)
