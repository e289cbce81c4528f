"""What `minivae train` takes about its data: which, and how files become images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import click

from minivae.cli.options import Name, Sizes

FITS = ("crop", "pad", "stretch")
DEFAULT = "digits"

_OPTIONS = (
    click.argument("path", required=False, type=Name()),
    click.option("--data", type=Name(), metavar="NAME|PATH", help="Another way to name PATH."),
    click.option("--size", type=Sizes("64 or 48,64"), metavar="SIDE|H,W", help="Bring pictures to that many pixels.  [default: "
                 "their own, if all have the same and no side is over 64; else a square by their median]"),
    click.option("--fit", type=click.Choice(FITS), help="How pictures of another shape get there: crop cuts off at the sides "
                 "what stands out, pad fills up with black, stretch gives up the proportions.  [default: crop]"),
    click.option("--grey/--colour", "grey", default=None, help="Colours of pictures.  [default: grey if all of them are]"),
    click.option("--labels-from", type=Name(), metavar="folders|FILE.csv", help="Labels of pictures: the names of subfolders, or "
                 "a table of files and labels.  [default: folders]"),
    click.option("--test-share", type=float, metavar="SHARE", help="Hold out so many of all images to test with, where the data "
                 "do not say which; 0 for none.  [default: 0.1]"),
    click.option("--split-seed", type=int, metavar="SEED", help="Of their choice; --seed leaves it as it is.  [default: 0]"),
    click.option("--skip-share", type=float, metavar="SHARE", help="Leave out pictures that cannot be read, up to that share of "
                 "all; then stop.  [default: 0.01]"),
)


def data_options(command: Callable) -> Callable:
    """Give a command these options; `taken` makes of their values what the library takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def taken(options: dict) -> dict:
    """The settings of a run that its data options say: those among `options`, which lose them.

    Raises:
        UsageError: both PATH and --data.
    """
    from minivae.errors import UsageError

    path, data = options.pop("path", None), options.pop("data", None)
    if path is not None and data is not None:
        raise UsageError(f"PATH is {path} and --data is {data}, but they name the same thing: give one of them")
    size, grey = options.pop("size", None), options.pop("grey", None)
    told = {"data": path if data is None else data, "size": size * 2 if size and len(size) == 1 else size,
            "colour": {None: None, True: "grey", False: "colour"}[grey]}
    told |= {name: options.pop(name, None) for name in ("fit", "labels_from", "test_share", "split_seed", "skip_share")}
    return {name: value for name, value in told.items() if value is not None}


def loaded(told: dict):
    """The data set that settings tell of, and all settings with what was left to the data; as they are used from any folder.

    Args:
        told: settings by name.

    Raises:
        UsageError, MinivaeError: see data.load.
    """
    from minivae import data
    from minivae.data.reading import NAMES

    name = told.get("data", DEFAULT)
    reading = data.Reading(**{key: told[key] for key in NAMES if key in told})
    dataset = data.load(name, reading, say=click.echo)
    name, reading = data.absolute(name, dataset.reading)
    return dataset, {**told, "data": name, **asdict(reading)}
