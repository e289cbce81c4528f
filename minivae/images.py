"""Images from files: pictures such as PNG, and IDX files of many."""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from minivae.errors import MinivaeError, UsageError
from minivae.data.idx import read_idx

IDX = b"\0\0\x08"       # how a file of unsigned bytes begins
GZIP = b"\x1f\x8b"      # pictures never do


def read(paths: Iterable[str | os.PathLike], image_shape: tuple[int, int, int]) -> tuple[list[str], np.ndarray]:
    """The images of several files.

    Args:
        paths: of pictures, one image each, in grey or colour as the shape has 1 or 3 channels; and of IDX files.
        image_shape: (height, width, channels) that all must have.

    Returns:
        names: each image's: the file's, with [number] behind it where the file holds many.
        images: uint8 (count, height, width, channels).

    Raises:
        UsageError: an image of another size.
        MinivaeError: a file that is missing, damaged or no image.
    """
    names, images = [], []
    for path in map(os.fspath, paths):
        found = _from_idx(path) if _begins(path).startswith((IDX, GZIP)) else _from_picture(path, image_shape[2])
        if found.shape[1:] != tuple(image_shape):
            raise UsageError(f"{path} holds images of {_in_words(found.shape[1:])}, but the model takes "
                             f"{_in_words(image_shape)}: scale them to that size")
        names += [path] if len(found) == 1 else [f"{path}[{i}]" for i in range(len(found))]
        images.append(found)
    return names, np.concatenate(images) if images else np.zeros((0, *image_shape), np.uint8)


def _begins(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(3)
    except OSError as error:
        raise MinivaeError(f"{path} cannot be read ({error.strerror or error}): name a picture or an IDX file") from error


def _from_idx(path: str) -> np.ndarray:
    found = read_idx(path)
    if found.ndim == 3:
        return found[..., np.newaxis]
    if found.ndim == 4:
        return found
    raise MinivaeError(f"{path} holds {found.ndim}-dimensional data, but images have 3 dimensions (count, height, width) "
                       "or 4")


def _from_picture(path: str, channels: int) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError
    try:
        with Image.open(path) as picture:
            found = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise MinivaeError(f"{path} is no picture that can be read (PNG, for example), nor an IDX file of unsigned bytes: "
                           "take another file") from error
    return found.reshape(1, *found.shape[:2], -1)


def _in_words(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{height} x {width} x {channels} (height, width, channels)"
