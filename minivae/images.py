"""Images from files, for a trained model: pictures of any size, folders of them, and IDX files of many."""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections.abc import Iterable
from math import prod

import numpy as np

from minivae.data import kinds
from minivae.data.decoding import each
from minivae.data.finding import find, shown
from minivae.data.idx_files import read_images
from minivae.data.picture import Unreadable, content, decode
from minivae.errors import MinivaeError, MinivaeWarning, UsageError

NAMED = 10      # unreadable pictures of a folder that a warning names


def read(paths: Iterable[str | os.PathLike], image_shape: tuple[int, int, int],
         fit: str = "crop") -> tuple[list[str], np.ndarray]:
    """The images of several files.

    Args:
        paths: of pictures, one image each, which become grey or coloured as the shape has 1 or 3 channels; of folders of
            pictures; and of IDX files.
        image_shape: (height, width, channels) that all get; an IDX file's must have it.
        fit: how pictures of another shape get there, see data.Reading.

    Returns:
        names: each image's: the file's, with [number] behind it where the file holds many.
        images: uint8 (count, height, width, channels).

    Raises:
        UsageError: images of another shape in an IDX file, or a folder without pictures.
        MinivaeError: a file that is missing, damaged or no image. Where a folder has others beside it, it is left out, with a
            warning that names it.
    """
    names, images = [], []
    for path in map(os.fspath, paths):
        more, found = _from(path, tuple(image_shape), fit)
        names += map(shown, more)
        images.append(found)
    return names, np.concatenate(images) if images else np.zeros((0, *image_shape), np.uint8)


def _from(path: str, shape: tuple[int, int, int], fit: str) -> tuple[list[str], np.ndarray]:
    """The names of the images that a path names, and the images."""
    if os.path.isdir(path):
        return _from_folder(path, shape, fit)
    if os.path.exists(path) and not os.path.isfile(path):
        raise MinivaeError(f"{shown(path)} is no regular file, nor a folder: name a picture or an IDX file")
    if _kind(path) != kinds.IDX:
        return [path], _from_picture(path, shape, fit)
    found = read_images(path)
    if found.shape[1:] != shape:
        raise UsageError(f"{path} holds images of {_in_words(found.shape[1:])}, but the model takes {_in_words(shape)}: "
                         "scale them to that size")
    return [path] if len(found) == 1 else [f"{path}[{i}]" for i in range(len(found))], found


def _from_folder(path: str, shape: tuple[int, int, int], fit: str) -> tuple[list[str], np.ndarray]:
    """Likewise, of its pictures, those that can be read."""
    found = find(path)
    if not found.files and not found.refused:
        raise UsageError(f"the folder {shown(path)} has no pictures in it or below: name another")
    names, refused = [os.path.join(path, file.name) for file in found.files], dict(found.refused)
    with tempfile.NamedTemporaryFile() as file:
        job = {"task": "decode", "shape": shape, "fit": fit, "into": file.name, "start": 0}
        bad = {result.index: result.unreadable for result in each(job, names) if result.unreadable is not None}
        file.truncate(len(names) * prod(shape))
        images = np.fromfile(file.name, np.uint8).reshape(len(names), *shape)
    refused |= {shown(found.files[i].name): bad[i] for i in sorted(bad)}
    some = "; ".join(f"{name} ({reason})" for name, reason in list(refused.items())[:NAMED])
    some += f"; and {len(refused) - NAMED:,} more" if len(refused) > NAMED else ""
    if len(bad) == len(names):
        raise MinivaeError(f"the folder {shown(path)} has no picture that can be read: {some}; name another")
    if refused:
        warnings.warn(f"{len(refused):,} of the {len(names) + len(found.refused):,} pictures in {shown(path)} cannot be read and "
                      f"are left out: {some}", MinivaeWarning, stacklevel=4)
    good = [i for i in range(len(names)) if i not in bad]
    return [names[i] for i in good], images[good] if bad else images


def _kind(path: str) -> str | None:
    try:
        return kinds.kind_of(path)
    except (OSError, ValueError) as error:
        raise MinivaeError(f"{shown(path)} cannot be read ({getattr(error, 'strerror', None) or error}): name a picture or an "
                           "IDX file") from error


def _from_picture(path: str, shape: tuple[int, int, int], fit: str) -> np.ndarray:
    try:
        return decode(io.BytesIO(content(path)), shape, fit)[np.newaxis]
    except Unreadable as error:
        raise MinivaeError(f"{shown(path)} is no picture that can be read (PNG, for example), nor an IDX file of unsigned bytes "
                           f"({error}): take another file") from error


def _in_words(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{height} x {width} x {channels} (height, width, channels)"
