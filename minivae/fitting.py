"""From what was asked for to a trained model: what `minivae train` and VAE.fit share."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np

from minivae import __version__, kernels
from minivae.data import Dataset
from minivae.device import Device, announced, select
from minivae.errors import UsageError
from minivae.evaluation.evaluate import Score
from minivae.evaluation.fixed_point import Passes
from minivae.gpu.errors import out_of_memory
from minivae.models import ARCHITECTURES
from minivae.parallel import mpi
from minivae.parallel.agreement import require_same
from minivae.rates import RATES
from minivae.runs import Settings, versions
from minivae.runs.fingerprint import fingerprint
from minivae.terminal.report import Silence, TerminalReport
from minivae.training import fit_batch
from minivae.training.checks import check, check_alone, check_size
from minivae.training.collapse import active_units
from minivae.training.epochs import Listener
from minivae.training.trainer import Stopped, Trainer

# What holds where nothing is said, by architecture: on few images, and from LARGE_COUNT training images on.
LARGE_COUNT = 20_000
SMALL = {"ff": {"epochs": 60, "batch_size": 100}, "conv": {"epochs": 30, "batch_size": 100}}
LARGE = {"ff": {"epochs": 10, "batch_size": 1000, "learning_rate": 2e-3, "schedule": "constant"},
         "conv": {"epochs": 10, "batch_size": 128}}
# Beside that for ff, on few images and without labels: for so large a share of the epochs beta rises, or few numbers of
# the code would ever be used, since at the start noise drowns what they say (Bowman et al. 2016); and the rate that then
# is best. (The convolutional model uses more of its code from the start and gained nothing by either.)
KL_WARM_UP, RATE = 1 / 6, 3e-3


class Fitted(NamedTuple):
    """How a training ended.

    Attributes:
        score: the mean cost of the test images; None where there are none.
        passes: over the training images, for the fixed-point statistics.
        seconds: of training.
        active: how many numbers of the code differ from image to image, see collapse.active_units.
    """

    score: Score | None
    passes: Passes
    seconds: float
    active: int


def settings_for(told: Mapping[str, object], count: int) -> Settings:
    """All settings of a training on `count` images.

    Args:
        told: settings by name; what is None or missing is the default for that architecture, optimizer and count.

    Raises:
        UsageError: an unknown architecture.
    """
    told = {name: value for name, value in told.items() if value is not None}
    arch = told.get("arch", Settings.arch)
    if arch not in ARCHITECTURES:
        raise UsageError(f"--arch is {arch}, but must be one of {', '.join(ARCHITECTURES)}")
    defaults = {**ARCHITECTURES[arch].SIZES, **(LARGE if count >= LARGE_COUNT else SMALL)[arch]}
    defaults["batch_size"] = min(defaults["batch_size"], count)
    if arch == "ff" and count < LARGE_COUNT and told.get("labels") is None:
        defaults["kl_warm_up"] = KL_WARM_UP * told.get("epochs", defaults["epochs"])
        defaults["learning_rate"] = RATE
    optimizer = told.get("optimizer", Settings.optimizer)
    if optimizer != Settings.optimizer and optimizer in RATES:     # what stands above is the best for that one
        defaults["learning_rate"] = RATES[optimizer]
    return Settings(**{**defaults, **told})


def check_told(told: Mapping[str, object], device: str) -> None:
    """Refuse settings that cannot work, before the images are read that would not change that.

    Args:
        told: see settings_for.
        device: the name of the one to train on.

    Raises:
        UsageError: names the setting, what is wrong with it and what would do.
        MinivaeError: the device does not work.
    """
    settings = settings_for(told, LARGE_COUNT - 1)      # with the defaults for few images, of which no others allow more
    check_alone(settings)
    check_size(settings, lambda: select(device)[0])


def prepare(told: Mapping[str, object], dataset: Dataset, device: str | Device, say: Callable[[str], None], *,
            smaller_batch: bool = False, world: mpi.World | None = None) -> Trainer:
    """A trainer that can start: settings checked, device chosen, kernels compiled, memory found to do.

    Args:
        told: see settings_for; `data` is the data set's name where it is missing.
        device: one, or its name as device.select takes it.
        say: is told which device it is, and of another batch size.
        smaller_batch: where the memory does not do for the batch size, take the largest for which it does; its trainer's
            settings have it.
        world: the processes that train together, whose memory is not looked at; None for this one alone.

    Raises:
        UsageError: settings that do not fit each other or the data, or no such device.
        OutOfMemory: the memory does not do; names the batch size for which it would.
        MinivaeError: the device does not work, or the processes do not have the same settings, data or versions.
    """
    settings = settings_for({"data": dataset.name, **told}, len(dataset.train_images))
    check(settings, dataset)
    where = announced(device, say, mpi.place(world, device) if isinstance(device, str) else 0)
    mpi.in_turn(world, lambda: kernels.prepare(where))
    if world:
        return _together(settings, dataset, where, say, smaller_batch, world)
    trainer = Trainer(settings, dataset, where)
    found = fit_batch.plan(trainer)
    size = found.batch_size(smaller_batch)
    if size != settings.batch_size:
        say(f"a step of {settings.batch_size} images does not fit the memory: {size} a step")
        del trainer
        gc.collect()        # both would not fit
        where.release()
        trainer = Trainer(replace(settings, batch_size=size), dataset, where)
    trainer.tight = found.tight
    return trainer


def _together(settings: Settings, dataset: Dataset, device: Device, say: Callable[[str], None], smaller_batch: bool,
              world: mpi.World) -> Trainer:
    """This process's trainer of several, all of which have the same to work on; see prepare()."""
    if smaller_batch:
        raise UsageError("--fit-batch looks at the memory of one process: leave it out, and give a --batch-size")
    require_same(world, {"minivae": __version__, "NumPy": np.__version__, "set of kernels": versions.kernels(),
                         "kind of device": "GPU" if device.cuda else "CPU", "setting": asdict(settings),
                         "data set": f"{settings.data} {fingerprint(dataset)[:8]}"},
                 "start all from the same installation, with the same options and data")
    group = mpi.group(world, device)        # from here on all make the same calls, for arrays of the same shapes
    say(group.describe())
    return Trainer(settings, dataset, device, group=group)


def train(trainer: Trainer, progress: bool = True, listeners: Sequence[Listener] = ()) -> Fitted:
    """All epochs that are still to be made, and the fixed-point statistics after them.

    Args:
        progress: show a bar and a line an epoch.
        listeners: who else is told how it goes.

    Raises:
        Diverged: the cost became NaN or infinite.
        OutOfMemory: as for prepare, in the middle of the training.
        Stopped: see Trainer.train; or what it prints cannot be printed any more.
    """
    settings = trainer.settings
    done = trainer.optimizer.steps // trainer.steps_an_epoch
    with TerminalReport(settings.epochs, trainer.steps * settings.batch_size, done) if progress else Silence() as report:
        asked = trainer.stop
        trainer.stop = lambda: asked() or report.lost
        try:
            seconds = trainer.train(report, *listeners)
            score, passes = trainer.finish()
            return Fitted(score, passes, seconds, active_units(trainer.model, trainer.train_images, settings.seed))
        except Stopped as error:
            if report.lost and not asked():
                error.exit_code = 1
                error.add_note("nobody takes any more what it prints (a pipe whose reader has ended, a full disk): print "
                               "into a file")
            raise
        except Exception as error:
            if out_of_memory(error) and trainer.group.size == 1:
                raise fit_batch.ran_out(trainer, error) from None
            raise


def describe(trainer: Trainer) -> str:
    """What is trained on what, in a line."""
    settings, count = trainer.settings, len(trainer.dataset.train_images)
    return f"{settings.arch} with {trainer.flat.count:,} parameters on {count:,} images of {settings.data}"
