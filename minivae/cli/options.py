"""What several commands take: names to choose from, the device, lists of sizes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from minivae.rates import RATES

if TYPE_CHECKING:
    from rich.console import Console

# Names that the command line offers, written out here so that --help does not load the library.
ARCHITECTURES = ("ff", "conv")
OPTIMIZERS = tuple(RATES)
SCHEDULES = ("constant", "step", "exponential", "cosine", "one-cycle", "plateau")
LIKELIHOODS = ("squared-error", "gaussian", "bernoulli")
SEMI = ("shared", "m2")
GPU_ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
WIDE = 10_000       # columns that no line has

device_option = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
                             help="Where to compute; auto takes a working GPU, else the CPU.")


checkpoint_option = click.option("--checkpoint", "which", default="last", show_default=True, metavar="last|best|STEP",
                                 help="Which of the run's checkpoints: the newest, that of the epoch with the lowest test "
                                 "cost, or the one after so many steps.")


def images_for(model, run: str, name: str):
    """The data set of that name, whose images the model of a run can take.

    Raises:
        UsageError: there is none, or its images are of another shape.
    """
    from minivae import data
    from minivae.errors import UsageError

    if name == data.ARRAYS:
        raise UsageError(f"the model of {run} was trained on arrays, from Python: name images for it with --data")
    dataset = data.load(name)
    if dataset.image_shape != model.image_shape:
        raise UsageError(f"the model of {run} takes images of {model.image_shape}, but {name} holds {dataset.image_shape}")
    return dataset


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
