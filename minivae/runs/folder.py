"""A run folder: made, written to, loaded."""

from __future__ import annotations

import csv
import os
import tomllib
from dataclasses import asdict
from pathlib import Path

from minivae import __version__, checkpoint
from minivae.device import Device
from minivae.errors import MinivaeError, UsageError
from minivae.files import replacing
from minivae.models import VAE
from minivae.runs.model import build, model_state
from minivae.runs.settings import Settings, as_toml, checked, with_tuples

PICTURES = ("source.png", "reconstructions.png", "samples.png", "grid.png", "transfer.png")
COLUMNS = ("epoch", "step", "train_cost", "test_cost", "test_reconstruction", "test_kl", "images_per_second", "seconds")
LABELLED = (*COLUMNS, "test_error")     # where there are labels


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
                 "classes": model.classes}
        checkpoint.save(self.checkpoint, {k: model.device.to_host(v) for k, v in model.state_dict().items()}, facts)
        self._write(settings)
        for path in (self.metrics, self.evaluation, *(self.folder / name for name in PICTURES)):
            path.unlink(missing_ok=True)

    def _write(self, settings: Settings) -> None:
        with replacing(self.folder / "settings.toml") as file:
            file.write(as_toml(settings).encode())

    @property
    def exists(self) -> bool:
        """Whether a run, or a part of one, is in the folder."""
        return (self.folder / "settings.toml").exists()

    def discard_unless_saved(self) -> bool:
        """Remove what a run has written if it stopped before its first checkpoint. Returns whether one is there."""
        if self.checkpoint.exists():
            return True
        for path in (self.metrics, self.folder / "settings.toml"):
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
            found = tomllib.loads(path.read_text("utf-8"))
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
        trained = {**asdict(Settings()), **with_tuples(facts["settings"])}     # older runs lack the newer settings
        if differ := sorted(k for k, v in asdict(settings).items() if trained.get(k) != v):
            raise MinivaeError(f"{self.folder / 'settings.toml'} is not what the checkpoint was trained with: {differ[0]} was "
                               f"{trained.get(differ[0])!r}; put that back")
        model = build(settings, tuple(facts["image_shape"]), device, facts.get("classes", 0))
        model.load_state_dict(model_state(arrays, settings.arch))
        model.eval()
        return model, settings
