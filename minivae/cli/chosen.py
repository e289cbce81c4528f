"""Images as the command line names them: files, or images of a run's data set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from minivae.cli.options import images_for

if TYPE_CHECKING:
    from minivae.data import Dataset
    from minivae.estimator import VAE

REFERENCE = re.compile(r"(?:(test|train)(?::(\d{1,18}))?|#(\d{1,18}))")


def images(trained: VAE, run: str, names: tuple[str, ...], data: str | None = None) -> tuple[list[str], np.ndarray]:
    """The images of these names, and what each is called.

    Args:
        run: the folder that was named.
        names: of files (pictures, or IDX files of many), or test:7 and train:7, images number 7, counted from 0, of the data
            that the run was trained on; #7 is test:7, and `test` and `train` alone are all images of the split.
        data: the data set that is meant by `test` and `train`; None for the run's own.

    Returns:
        names: (count,), one for each image.
        images: (count, height, width, channels), uint8, or float32 in [0, 1] where some are.

    Raises:
        UsageError: an image of another size, a number that is not there.
        MinivaeError: a file that is missing, damaged or no image.
    """
    from minivae.images import read

    called, parts = [], []
    dataset = images_for(trained.model, run, trained.settings, data) if any(map(is_reference, names)) else None
    for referred, group in groupby(names, is_reference):
        found = (_of_data(dataset, group) if referred else [read(group, trained.model.image_shape, trained.settings.fit)])
        for more, images in found:
            called += more
            parts.append(images)
    if len(parts) == 1:     # all images of a split may be a map of more than memory holds
        return called, parts[0]
    if any(part.dtype != np.uint8 for part in parts):
        parts = [part / np.float32(255) if part.dtype == np.uint8 else part for part in parts]
    return called, np.concatenate(parts)


def is_reference(name: str) -> bool:
    """Whether a name is of images of a data set, such as test:7, and of no file."""
    return REFERENCE.fullmatch(name) is not None


def check_data(names: Iterable[str], data: str | None) -> None:
    """Raises:
        UsageError: a data set is named, but no image of one."""
    from minivae.errors import UsageError

    if data is not None and not any(map(is_reference, names)):
        raise UsageError(f"--data is {data}, but no image of a data set is named, such as test:7: leave it out, or name one")


def one(trained: VAE, run: str, name: str, data: str | None = None) -> np.ndarray:
    """The one image of that name, (height, width, channels); see images().

    Raises:
        UsageError: the name stands for many.
    """
    from minivae.errors import UsageError

    names, found = images(trained, run, (name,), data)
    if len(found) != 1:
        raise UsageError(f"{name} holds {len(found)} images, but one is needed: name one, such as test:0")
    return found[0]


def _of_data(dataset: Dataset, names: Iterable[str]) -> Iterator[tuple[list[str], np.ndarray]]:
    """What each of the names' images are called, and the images."""
    from minivae.errors import UsageError

    for reference in names:
        split, number, short = REFERENCE.fullmatch(reference).groups()
        split, number = split or "test", number or short
        there = getattr(dataset, f"{split}_images")
        if not len(there):
            raise UsageError(f"{reference} is not there: {dataset.name} has no {split} images")
        if number is None:
            yield [f"{split}:{i}" for i in range(len(there))], there
        elif int(number) >= len(there):
            raise UsageError(f"{reference} is not there: {dataset.name} has {len(there)} {split} images, numbers 0 to "
                             f"{len(there) - 1}")
        else:
            yield [f"{split}:{number}"], there[int(number)][np.newaxis]
