"""A run folder: made, locked, written to, loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from minivae import __version__, checkpoint
from minivae.device import Device
from minivae.errors import MinivaeError, UsageError
from minivae.files import replacing, sweep
from minivae.models import VAE
from minivae.runs.checkpoints import LAST, Checkpoints, Loaded
from minivae.runs.lock import Lock
from minivae.runs.model import build, model_state
from minivae.runs.settings import Settings, as_toml, checked, parsed, with_tuples
from minivae.runs.sound import require_room

PICTURES = ("source.png", "reconstructions.png", "samples.png", "grid.png", "transfer.png")
WRITTEN = (".safetensors", ".toml", ".csv", ".txt", ".html", "versions.json")       # what only a training writes, aside, to be renamed
LOCK = ".lock"
LATER = ("epochs", "data", "labels_from")       # settings that may change when a run goes on; the data only their place


def _short(data: Path) -> str:
    """What data are called in the name of a run's folder: a file's name without its ending, or the folder's."""
    return Path(data.name.removesuffix(".gz")).stem if data.is_file() else data.name


class Run:
    """A run folder.

    Attributes:
        folder: its path.
        checkpoints: see Checkpoints.
        page: what it looks like, for people; see page/.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self.checkpoints = Checkpoints(self.folder)
        self.metrics = self.folder / "metrics.csv"
        self.evaluation = self.folder / "eval.json"
        self.versions = self.folder / "versions.json"
        self.skipped = self.folder / "skipped.txt"
        self.events = self.folder / "events"
        self.page = self.folder / "report.html"
        self._lock = Lock(self.folder / LOCK)

    @classmethod
    def create(cls, settings: Settings, folder: str | os.PathLike | None = None,
               fix: str = "name a new folder with --out") -> Run:
        """Make the folder (runs/<data>-<arch>-<number> where none is given), lock it, and write the settings.

        Args:
            fix: what errors advise.

        Raises:
            UsageError: the folder holds a run or something else already.
            MinivaeError: it cannot be written.
        """
        try:
            run = cls(folder) if folder is not None else cls._numbered(
                Path("runs"), f"{_short(Path(settings.data).resolve())}-{settings.arch}")
            run.folder.mkdir(parents=True, exist_ok=True)
            run._check_empty(fix)
            run.lock()
            run._check_empty(fix)       # somebody may have been faster
        except OSError as error:
            raise MinivaeError(f"cannot make the run folder {error.filename or folder}: {error.strerror}; {fix}") from error
        run.write(settings)
        return run

    def check_free(self, fix: str = "name a new folder with --out") -> None:
        """Refuse a folder that holds something, before anything is made; create() looks again.

        Raises:
            UsageError: the folder holds a run or something else already.
        """
        if self.folder.is_dir() and os.access(self.folder, os.R_OK):
            self._check_empty(fix)

    def _check_empty(self, fix: str) -> None:
        if any(path.name != LOCK for path in self.folder.iterdir()):
            raise UsageError(f"{self.folder} already holds {'a run' if self.exists else 'other files'}; {fix}")

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

    # ---- one process at a time ----

    def lock(self) -> None:
        """Keep other processes from writing here until this one ends or calls release().

        Raises:
            MinivaeError: another one writes here.
        """
        self._lock.acquire()
        for folder in (self.folder, self.checkpoints.folder):
            sweep(folder, WRITTEN)

    def release(self) -> None:
        """Let others write here."""
        self._lock.release()

    # ---- writing ----

    def save(self, model: VAE, settings: Settings) -> None:
        """Make this the folder of a trained model alone; what a training and an evaluation have written here beside it goes.

        Raises:
            MinivaeError: it cannot be written, or another process writes here.
        """
        self.lock()
        facts = {"minivae": __version__, "settings": asdict(settings), "image_shape": model.image_shape,
                 "classes": model.classes, "class_names": model.class_names}
        checkpoint.save(self.checkpoints.single, {k: model.device.to_host(v) for k, v in model.state_dict().items()}, facts)
        self.checkpoints.forget_training()
        self.write(settings)
        others = (self.metrics, self.evaluation, self.versions, self.skipped, self.page)
        for path in (*others, *(self.folder / name for name in PICTURES)):
            path.unlink(missing_ok=True)

    def write(self, settings: Settings) -> None:
        """Write settings.toml.

        Raises:
            MinivaeError: it cannot be written.
        """
        with replacing(self.folder / "settings.toml") as file:
            file.write(as_toml(settings).encode())

    def note_skipped(self, skipped: Sequence[tuple[str, str]]) -> None:
        """Leave a list of (file, reason) there, where there are any.

        Raises:
            MinivaeError: it cannot be written.
        """
        if skipped:
            with replacing(self.skipped) as file:
                file.write("".join(f"{name}: {reason}\n" for name, reason in skipped).encode("utf-8", "surrogateescape"))

    def discard_unless_saved(self) -> bool:
        """Remove what a run has written if it stopped before its first checkpoint. Returns whether one is there."""
        if self.checkpoints.all():
            return True
        self.checkpoints.forget_training()
        settings, events = self.folder / "settings.toml", self.events.glob("events.out.*")
        for path in (self.metrics, self.versions, self.skipped, self.page, settings, *events):
            path.unlink(missing_ok=True)
        self.release()
        for folder in (self.events, self.folder):
            try:
                folder.rmdir()
            except OSError:     # not there, or somebody put something else there
                pass
        return False

    # ---- reading ----

    @property
    def exists(self) -> bool:
        """Whether a run, or a part of one, is in the folder."""
        return (self.folder / "settings.toml").exists()

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint; where there is none, the path of one."""
        return [*self.checkpoints.all(), self.checkpoints.single][0]

    def settings(self) -> Settings:
        """The settings of an existing run.

        Raises:
            UsageError: there is no run in this folder.
            MinivaeError: its settings are damaged.
        """
        path = self.folder / "settings.toml"
        try:
            return checked(parsed(path))
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(f"there is no run in {self.folder} (it has no settings.toml); name the folder that "
                             "minivae train wrote") from None
        except (OSError, ValueError, RecursionError) as error:
            raise MinivaeError(f"{path} cannot be used: {error}; restore it or train again") from error

    def state(self, which: str | int = LAST) -> Loaded:
        """(arrays, facts) of a checkpoint, which fits the settings; see Checkpoints.load.

        Raises:
            UsageError: there is no such checkpoint.
            MinivaeError: it is damaged, or made with other settings.
        """
        settings = self.settings()
        arrays, facts = self.checkpoints.load(which)
        trained = {**asdict(Settings()), **with_tuples(facts["settings"])}     # older runs lack the newer settings
        differ = sorted(k for k, v in asdict(settings).items() if trained.get(k) != v and k not in LATER)
        if differ:
            raise MinivaeError(f"{self.folder / 'settings.toml'} is not what the checkpoint was trained with: {differ[0]} was "
                               f"{trained.get(differ[0])!r}; put that back")
        return arrays, facts

    def load(self, device: Device, which: str | int = LAST) -> tuple[VAE, Settings]:
        """The trained model, in evaluation, and its settings.

        Args:
            which: see Checkpoints.load.

        Raises:
            UsageError: there is no run, or no such checkpoint.
            MinivaeError: the checkpoint is missing, damaged, or made with other settings.
        """
        model, settings, _ = self.load_with_facts(device, which)
        return model, settings

    def load_with_facts(self, device: Device, which: str | int = LAST) -> tuple[VAE, Settings, dict]:
        """As load(), with the facts of the checkpoint."""
        settings = self.settings()
        arrays, facts = self.state(which)
        require_room(self.folder, settings, facts, arrays)
        model = build(settings, tuple(facts["image_shape"]), device, facts.get("classes", 0))
        names = facts.get("class_names")
        if isinstance(names, list) and len(names) == model.classes:
            model.class_names = tuple(map(str, names))
        model.load_state_dict(model_state(arrays, settings.arch))
        model.eval()
        return model, settings, facts
