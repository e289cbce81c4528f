"""What `minivae train` takes about its data: which, and how files become images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import click

from minivae.cli.options import Name, Sizes

FITS = ("crop", "pad", "stretch")

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
    """Give a command these options; see as_settings."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def as_settings(options: dict) -> dict:
    """Options with those about the data as the settings that they are; what is not told is left out.

    Raises:
        UsageError: both PATH and --data.
    """
    from minivae.errors import UsageError

    settings = dict(options)
    path, data = settings.pop("path", None), settings.pop("data", None)
    if path is not None and data is not None:
        raise UsageError(f"PATH is {path} and --data is {data}, but they name the same thing: give one of them")
    size, grey = settings.pop("size", None), settings.pop("grey", None)
    told = {"data": path or data, "size": size * 2 if size and len(size) == 1 else size,
            "colour": {None: None, True: "grey", False: "colour"}[grey]}
    told |= {name: settings.pop(name, None) for name in ("fit", "labels_from", "test_share", "split_seed", "skip_share")}
    return settings | {name: value for name, value in told.items() if value is not None}


def of_other_data(settings: dict, given: dict) -> dict:
    """Settings from a file, to be used with those that are given: where these name other data, how the file's were read goes."""
    from minivae.data import Reading, absolute
    from minivae.data.reading import NAMES

    own, other = settings.get("data"), given.get("data")
    if None in (own, other) or absolute(own, Reading())[0] == absolute(other, Reading())[0]:
        return settings
    return {name: value for name, value in settings.items() if name not in NAMES}


def reading_of(settings: dict):
    """The data.Reading among settings.

    Raises:
        UsageError: values that cannot be.
    """
    from minivae.data import Reading
    from minivae.data.reading import NAMES

    return Reading(**{name: settings[name] for name in NAMES if name in settings})


def recorded(dataset) -> dict:
    """The settings of a run that say what its data are, so that it can be used from any folder."""
    from minivae.data import absolute

    name, reading = absolute(dataset.name, dataset.reading)
    return {"data": name, **asdict(reading)}
