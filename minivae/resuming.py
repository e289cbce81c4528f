"""Going on with a run where it stopped: what may change, what may not, and the trainer that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from minivae.errors import UsageError
from minivae.runs import Run, Settings
from minivae.runs.checkpoints import Loaded
from minivae.training import Trainer

LOOKS = 10_000      # steps of the past at most at which two schedules are compared


def settings_of(run: Run, given: Mapping[str, object]) -> Settings:
    """The settings that a run goes on with.

    Args:
        given: settings by name; one other than the run's can only be the number of epochs.

    Raises:
        UsageError: there is no run, or a setting that cannot change.
        MinivaeError: its settings are damaged.
    """
    settings = run.settings()
    for name, value in given.items():
        if name != "epochs" and value != getattr(settings, name):
            raise UsageError(f"--{name.replace('_', '-')} is {value}, but the run in {run.folder} has {getattr(settings, name)}: "
                             "a run that goes on can change only --epochs and --device; leave it out, or train anew")
    return replace(settings, epochs=given.get("epochs", settings.epochs))


def is_finished(saved: Loaded, settings: Settings) -> bool:
    """Whether nothing is left to be trained."""
    return bool(saved[1].get("finished")) and saved[1]["settings"]["epochs"] == settings.epochs


def go_on(trainer: Trainer, saved: Loaded | None) -> None:
    """Give a trainer the state that its run was saved in. The steps to come are those of a run that was not stopped, bit for
    bit; with another number of epochs, those of a run that was asked for as many from the start.

    Args:
        trainer: with a journal.
        saved: a checkpoint; None for a run that was stopped before its first.

    Raises:
        UsageError: another number of epochs would have changed the steps that were made.
        MinivaeError: a state of something else, or the folder cannot be written.
    """
    if saved is None:
        trainer.journal.restore({"step": 0})
        return
    _check_past(trainer, saved[1]["settings"]["epochs"], saved[1]["step"])
    trainer.restore(*saved)


def _check_past(trainer: Trainer, before: int, step: int) -> None:
    settings, schedule = trainer.settings, trainer.schedule
    if step > trainer.steps:
        raise UsageError(f"--epochs is {settings.epochs}, but {step / trainer.steps_an_epoch:g} were made already: take at "
                         f"least {-(-step // trainer.steps_an_epoch)}")
    old = type(schedule)(before * trainer.steps_an_epoch, schedule.warm_up)
    if any(old.factor(number) != schedule.factor(number) for number in range(0, step, 1 + step // LOOKS)):
        raise UsageError(f"--epochs is {settings.epochs}, but the schedule {settings.schedule} was laid out over {before}, and "
                         "the steps that were made would have had other rates: leave it out, or train anew; the schedules "
                         "constant and plateau can always go on")
