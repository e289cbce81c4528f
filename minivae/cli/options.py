"""What several commands take: names to choose from, the device, lists of sizes."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from minivae.rates import RATES

if TYPE_CHECKING:
    from rich.console import Console

    from minivae.estimator import VAE

# Names that the command line offers, written out here so that --help does not load the library.
ARCHITECTURES = ("ff", "conv")
OPTIMIZERS = tuple(RATES)
SCHEDULES = ("constant", "step", "exponential", "cosine", "one-cycle", "plateau")
LIKELIHOODS = ("squared-error", "gaussian", "bernoulli")
SEMI = ("shared", "m2")
DATA_SETS = ("digits", "fashion-mnist", "mnist")
GPU_ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
WIDE = 10_000       # columns that no line has
NAMED = 10          # classes that a warning names

device_option = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
                             shell_complete=lambda ctx, param, incomplete: completed(incomplete, ("auto", "cpu", "cuda")),
                             help="Where to compute; auto takes a working GPU, else the CPU.")


checkpoint_option = click.option("--checkpoint", "which", default="last", show_default=True, metavar="last|best|STEP",
                                 help="Which of the run's checkpoints: the newest, that of the epoch with the lowest test "
                                 "cost, or the one after so many steps.")


def say_of(world) -> Callable[[str], None]:
    """What prints a line: of several processes (see mpi.World) one does."""
    return click.echo if world is None or world.rank == 0 else lambda line: None


def images_for(model, run: str, settings, name: str | None = None):
    """The data set of that name, whose images the model of a run can take; the run's own where there is no name. Pictures
    are brought to the model's shape as those were that it was trained on. Where the model knows of classes, labels are their
    numbers; which classes of the data it does not know is a warning, and so is it where the run's own data have changed.

    Args:
        run: its folder.
        settings: the run's.

    Raises:
        UsageError: there is none, or its images are of another shape.
    """
    from minivae import data
    from minivae.errors import UsageError

    name = name or settings.data
    if name == data.ARRAYS:
        raise UsageError(f"the model of {run} was trained on arrays, from Python: name images for it with --data")
    own = settings.data in (name, data.absolute(name, settings.reading)[0])
    if own:
        check_there(run, settings.data)
    dataset = data.load(name, data.fitting(name, settings.reading, model.image_shape, own))
    if dataset.image_shape != model.image_shape:
        raise UsageError(f"the model of {run} takes images of {model.image_shape}, but {name} holds {dataset.image_shape}")
    if own:
        _warn_if_changed(run, dataset)
    return _in_its_classes(model, run, dataset, own) if model.classes else dataset


def _warn_if_changed(run: str, dataset) -> None:
    from minivae.errors import MinivaeError, MinivaeWarning
    from minivae.runs import Run
    from minivae.runs.fingerprint import fingerprint

    try:
        facts = Run(run).checkpoints.facts() or {}
    except MinivaeError as error:       # that of the best epoch, which is used then, does not say it
        warnings.warn(f"{error}. Whether {dataset.name} still holds what {run} was trained on is not known", MinivaeWarning,
                      stacklevel=3)
        return
    if facts.get("data") and facts["data"] != fingerprint(dataset):     # models saved from Python do not say it
        warnings.warn(f"{dataset.name} holds other images or labels than those that {run} was trained on: some of its test images "
                      "may be among those", MinivaeWarning, stacklevel=3)


def _in_its_classes(model, run: str, dataset, own: bool):
    """A data set whose labels are the numbers of the model's classes, by their names."""
    from dataclasses import replace

    from minivae.errors import MinivaeWarning

    if own and not model.class_names:       # older runs do not say what their classes are called
        return dataset
    dataset, unknown = dataset.numbered_as(model.names_of_classes)
    if unknown:
        more = f" and {len(unknown) - NAMED:,} more" if len(unknown) > NAMED else ""
        warnings.warn(f"the model of {run} knows of no class {', '.join(unknown[:NAMED])}{more}: those images of {dataset.name} "
                      f"count as without a label (its classes: {', '.join(model.names_of_classes[:NAMED])}"
                      f"{', ...' if model.classes > NAMED else ''})", MinivaeWarning, stacklevel=3)
    return replace(dataset, class_names=model.class_names)


def require_classes(trained: VAE, run: str) -> None:
    """Raises:
        UsageError: a run that knows of no classes."""
    from minivae.errors import UsageError

    if not trained.model.classes:
        raise UsageError(f"the model of {run} knows of no classes, since it was trained without --labels: take another run")


def is_there(name: str) -> bool:
    """Whether data of that name, or at that place, can still be loaded."""
    from minivae import data

    return name in data.NAMES or os.path.lexists(os.path.expanduser(name))


def check_there(run: str, name: str) -> None:
    """Raises:
        UsageError: the data that a run was trained on are no longer where they were."""
    from minivae.errors import UsageError

    if not is_there(name):
        raise UsageError(f"the data of {run} are no longer in {name}: name the place where they are with --data")


def class_of(trained: VAE, run: str, label: str | None) -> int | None:
    """The number of the class that a --label names, by its name or its number.

    Raises:
        UsageError: a class that the run does not know."""
    from minivae.errors import UsageError

    model = trained.model
    if label is None:
        return None
    if not model.classes:
        raise UsageError(f"--label is {label}, but the model of {run} knows of no classes, since it was trained without "
                         "--labels: leave it out")
    if label in model.class_names:
        return model.class_names.index(label)
    if label.isdecimal() and int(label) < model.classes:
        return int(label)
    names = ", ".join(model.class_names[:NAMED]) + (", ..." if len(model.class_names) > NAMED else "")
    raise UsageError(f"--label {label} is none of the model's classes 0 to {model.classes - 1}{names and f': {names}'}")


class Sizes(click.ParamType):
    """Whole numbers with commas between them.

    Args:
        example: such as the option's default.
    """

    name = "sizes"

    def __init__(self, example: str):
        self.example = example

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of sizes such as {self.example}", param, ctx)


class Name(click.ParamType):
    """The name of a file, a folder or a data set: not empty, as what an unset variable leaves of --out "$x" is."""

    name = "name"

    def convert(self, value, param, ctx):
        return value if value.strip() else self.fail("the name is empty; give one or leave the option out", param, ctx)

    def shell_complete(self, ctx, param, incomplete):
        """Run folders for RUN, else folders; data sets for --data and its PATH, else files; files for everything else."""
        if param.name == "run":
            return completed(incomplete, _runs(incomplete), "dir")
        return completed(incomplete, DATA_SETS if param.name in ("data", "path") else (), "file")


def completed(incomplete: str, words: Iterable[str], others: str | None = None) -> list[CompletionItem]:
    """What a shell may make of an incomplete word: those words that begin so, or, without any, what it finds itself.

    Args:
        others: "dir" or "file", of which kind; None for nothing. Not beside words: bash forgets those before it, and zsh
            those after it.
    """
    found = [CompletionItem(word) for word in words if word.startswith(incomplete)]
    return found or ([CompletionItem(incomplete, type=others)] if others else [])


def _runs(incomplete: str) -> list[str]:
    """The run folders whose paths begin so, and those in runs/."""
    there = {*glob.glob(glob.escape(incomplete) + "*"), *glob.glob("runs/*")}
    return sorted(path for path in there if os.path.isfile(os.path.join(path, "settings.toml")))


json_option = click.option("--json", "file", type=Name(), metavar="FILE", help="Leave all numbers there.")


def printed(show: Callable[[Console, Any], None], report, wide: bool = False) -> None:
    """Print a report: as it fits the terminal, or plainly, without blanks at the ends of lines, into a file or a pipe.

    Args:
        show: prints it on a console.
        wide: no line is folded where there is no terminal, unless COLUMNS says how wide it would be.
    """
    import io

    from rich.console import Console

    console = Console(highlight=False)
    if console.is_terminal:
        show(console, report)
        return
    width = WIDE if wide and not os.environ.get("COLUMNS") else console.width
    plain = Console(highlight=False, file=io.StringIO(), width=width)
    show(plain, report)
    click.echo("\n".join(line.rstrip() for line in plain.file.getvalue().splitlines()))
