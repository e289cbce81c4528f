"""Images as the command line names them: files, or images of a run's data set."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from minivae.cli.options import images_for

if TYPE_CHECKING:
    from minivae.estimator import VAE

REFERENCE = re.compile(r"(?:(test|train)(?::(\d+))?|#(\d+))")


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
    for referred, group in groupby(names, lambda name: REFERENCE.fullmatch(name) is not None):
        found = (_of_data(trained, run, list(group), data) if referred else
                 read(group, trained.model.image_shape, trained.settings.fit))
        called += found[0]
        parts.append(found[1])
    if any(part.dtype != np.uint8 for part in parts):
        parts = [part / np.float32(255) if part.dtype == np.uint8 else part for part in parts]
    return called, np.concatenate(parts)


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


def _of_data(trained: VAE, run: str, names: list[str], data: str | None) -> tuple[list[str], np.ndarray]:
    from minivae.errors import UsageError

    name = data or trained.settings.data
    dataset = images_for(trained.model, run, trained.settings, data)
    called, parts = [], []
    for reference in names:
        split, number, short = REFERENCE.fullmatch(reference).groups()
        split, number = split or "test", number or short
        there = getattr(dataset, f"{split}_images")
        if number is not None and int(number) >= len(there):
            raise UsageError(f"{reference} is not there: {name} has {len(there)} {split} images, numbers 0 to "
                             f"{len(there) - 1}")
        called += [f"{split}:{number}"] if number is not None else [f"{split}:{i}" for i in range(len(there))]
        parts.append(there if number is None else there[int(number)][np.newaxis])
    return called, np.concatenate(parts)
