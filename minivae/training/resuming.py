"""Going on with a run where it stopped: what may change, what may not, and the trainer that goes on."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping
from dataclasses import replace

from minivae.data import absolute
from minivae.data.reading import FOLDERS
from minivae.errors import UsageError
from minivae.optim import SCHEDULES
from minivae.runs import Run, Settings
from minivae.runs.checkpoints import Loaded
from minivae.runs.folder import LATER
from minivae.runs.outcome import is_of_training
from minivae.training.trainer import Trainer

LOOKS = 10_000      # steps of the past at most at which two schedules are compared


def settings_of(run: Run, given: Mapping[str, object]) -> Settings:
    """The settings that a run goes on with.

    Args:
        given: settings by name; one other than the run's can only be the number of epochs, or where the data are: whether
            they are the same is seen once they are read, see go_on.

    Raises:
        UsageError: there is no run, or a setting that cannot change.
        MinivaeError: its settings are damaged.
    """
    settings = run.settings()
    if "data" in given:
        given = {**given, "data": absolute(given["data"], settings.reading)[0]}
    if given.get("labels_from", FOLDERS) != FOLDERS:
        given = {**given, "labels_from": os.path.realpath(given["labels_from"])}
    for name, value in given.items():
        if name not in LATER and value != getattr(settings, name):
            raise UsageError(f"--{name.replace('_', '-')} is {value}, but the run in {run.folder} has {getattr(settings, name)}: "
                             "a run that goes on can change only --epochs, --device, and the place of the same data; leave it "
                             "out, or train anew")
    return replace(settings, **{name: given[name] for name in LATER if name in given})


def found(run: Run, given: Mapping[str, object]) -> tuple[Settings, Loaded | None]:
    """The settings that a run goes on with, see settings_of, and its newest checkpoint, if there is one; the folder is
    locked from then on.

    Raises:
        UsageError, MinivaeError: as for settings_of; or another process is at work in the folder, or no checkpoint is whole,
            or it holds a model alone.
    """
    settings = settings_of(run, given)
    run.lock()
    saved = run.state() if run.checkpoints.all() else None
    if saved and not is_of_training(saved[1]):
        raise UsageError(f"{run.folder} holds a model, but no state of a training, and cannot go on: train anew, such as "
                         f"with --config {shlex.quote(str(run.folder))}")
    return settings, saved


def go_on(trainer: Trainer, saved: Loaded | None) -> None:
    """Give a trainer the state that its run was saved in. The steps to come are those of a run that was not stopped, bit for
    bit; with another number of epochs, those of a run that was asked for as many from the start.

    Args:
        trainer: with a journal, but in the processes that write nothing.
        saved: a checkpoint; None for a run that was stopped before its first.

    Raises:
        UsageError: another number of epochs would have changed the steps that were made.
        MinivaeError: a state of something else, or the folder cannot be written.
    """
    if saved is None:
        if trainer.journal:
            trainer.journal.restore({"step": 0})
        return
    check_past(trainer.settings, len(trainer.dataset.train_images), saved)
    trainer.restore(*saved)


def check_past(settings: Settings, count: int, saved: Loaded | None) -> None:
    """Refuse another number of epochs where the steps that were made would have been others.

    Args:
        settings: those that the run goes on with.
        count: of training images.
        saved: what it goes on from, if anything.

    Raises:
        UsageError: says why, and what would do.
    """
    before, step = (saved[1]["settings"]["epochs"], saved[1]["step"]) if saved else (settings.epochs, 0)
    per_epoch = count // settings.batch_size
    if step > per_epoch * settings.epochs:
        raise UsageError(f"--epochs is {settings.epochs}, but {step / per_epoch:g} were made already: take at least "
                         f"{-(-step // per_epoch)}")
    schedule, warm_up = SCHEDULES[settings.schedule], round(settings.warm_up * per_epoch)
    old, new = (schedule(epochs * per_epoch, warm_up) for epochs in (before, settings.epochs))
    if any(old.factor(number) != new.factor(number) for number in range(0, step, 1 + step // LOOKS)):
        raise UsageError(f"--epochs is {settings.epochs}, but the schedule {settings.schedule} was laid out over {before}, and "
                         "the steps that were made would have had other rates: leave it out, or train anew, with --config "
                         f"RUN; the schedules {' and '.join(n for n, one in SCHEDULES.items() if not one.ENDS)} can always "
                         "go on")
    for name in ("warm_up", "kl_warm_up"):
        if settings.epochs < (length := getattr(settings, name)) <= before:
            raise UsageError(f"--epochs is {settings.epochs}, but the run has a --{name.replace('_', '-')} of {length:g} "
                             f"epochs: take at least {math.ceil(length)}")


def advice(settings: Settings, folder: str) -> str:
    """How a finished run comes to more epochs.

    Args:
        folder: the run's.
    """
    if SCHEDULES[settings.schedule].ENDS:
        return (f"its schedule, {settings.schedule}, ends there; for more train anew, such as `minivae train --config "
                f"{shlex.quote(folder)} --epochs {2 * settings.epochs}`")
    return "take a larger --epochs for more"
