"""Images from files, for a trained model: pictures of any size, folders of them, and IDX files of many."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator

import numpy as np

from minivae.data.finding import find, shown
from minivae.data.idx_files import read_images
from minivae.data.picture import Unreadable, content, decode
from minivae.errors import MinivaeError, UsageError

IDX = b"\0\0\x08"       # how a file of unsigned bytes begins
GZIP = b"\x1f\x8b"      # pictures never do


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
        MinivaeError: a file that is missing, damaged or no image.
    """
    names, images = [], []
    for path in map(os.fspath, paths):
        for name, found in _from(path, tuple(image_shape), fit):
            names += [shown(name)] if len(found) == 1 else [f"{shown(name)}[{i}]" for i in range(len(found))]
            images.append(found)
    return names, np.concatenate(images) if images else np.zeros((0, *image_shape), np.uint8)


def _from(path: str, shape: tuple[int, int, int], fit: str) -> Iterator[tuple[str, np.ndarray]]:
    """The files that a path names, and their images."""
    if os.path.isdir(path):
        files = find(path).files
        if not files:
            raise UsageError(f"the folder {shown(path)} has no pictures in it or below: name another")
        for file in files:
            name = os.path.join(path, file.name)
            yield name, _from_picture(name, shape, fit)
    elif os.path.exists(path) and not os.path.isfile(path):
        raise MinivaeError(f"{shown(path)} is no regular file, nor a folder: name a picture or an IDX file")
    elif _begins(path).startswith((IDX, GZIP)):
        found = read_images(path)
        if found.shape[1:] != shape:
            raise UsageError(f"{path} holds images of {_in_words(found.shape[1:])}, but the model takes {_in_words(shape)}: "
                             "scale them to that size")
        yield path, found
    else:
        yield path, _from_picture(path, shape, fit)


def _begins(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(3)
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
