"""One picture: any file that Pillow reads, any kind of pixels, to 8-bit grey or colour of one size."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM")     # no others: some of Pillow's start programs
SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm", ".pnm")
MOST_BYTES = 512 << 20      # of a picture's file
MOST_PIXELS = 64_000_000    # of a picture as it is decoded; a quarter of a gigabyte
DRAFT = 2                   # a JPEG is decoded to at least so many times the size that is wanted, and then scaled down
GAP = 3.0                   # likewise for what is first shrunk by whole numbers; Pillow finds 3 as good as no such step
ORIENTATION = 0x0112        # the EXIF tag; from 5 on the picture lies on its side
BITS = 258                  # the TIFF tag of bits per sample
GROUND = 255                # transparent pixels are laid on white
FRAME = 0                   # padding is black
GREY = ("1", "L", "LA", "La", "I", "F")


class Unreadable(Exception):
    """A file that is no picture, or one that cannot be used; the text says why, in a few words."""


class Look(NamedTuple):
    """What a picture's header says."""

    height: int     # as it stands upright
    width: int
    grey: bool


def content(path: str) -> bytes:
    """All bytes of a file.

    Raises:
        Unreadable: it is empty, too long, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise Unreadable(f"a file of more than {MOST_BYTES >> 20} MB")
            data = file.read()      # read(most) would set aside as much memory for every file
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    if not data:
        raise Unreadable("an empty file")
    return data


def look(file: str | bytes | BinaryIO) -> Look:
    """What the picture of a file is like, without decoding it.

    Raises:
        Unreadable: it is none.
    """
    with _opened(file) as picture:
        width, height = reversed(picture.size) if _on_its_side(picture) else picture.size
        return Look(height, width, _is_grey(picture))


def decode(file: str | bytes | BinaryIO, shape: tuple[int, int, int], fit: str = "crop") -> np.ndarray:
    """The picture of a file as uint8 (height, width, channels): turned upright by its EXIF tag, the first frame of several.

    Transparent pixels are laid on white. 16 bits a pixel, or floats in [0, 1], are scaled to 8 bits.

    Args:
        shape: what it shall have; with 1 channel it becomes grey, with 3 coloured.
        fit: see Reading.

    Raises:
        Unreadable: it is no picture, damaged, or too large.
    """
    height, width, channels = shape
    with _opened(file) as picture:
        if picture.format in ("JPEG", "MPO"):
            sides = (height, width) if _on_its_side(picture) else (width, height)
            picture.draft("L" if channels == 1 else None, tuple(DRAFT * side for side in sides))
        _check_size(picture)
        picture.load()
        upright = ImageOps.exif_transpose(picture) if _orientation(picture) != 1 else picture
        fitted = _fitted(_eight_bit(upright), (width, height), fit)
        return np.asarray(_on_ground(fitted, "L" if channels == 1 else "RGB"), np.uint8).reshape(shape)


@contextmanager
def _opened(file) -> Iterator[Image.Image]:
    """The picture; within this context what any decoder says of a bad file is an Unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # what Pillow thinks odd but reads
            with Image.open(file, formats=FORMATS) as picture:
                yield picture
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("no picture of a kind that is read here, or damaged") from None
    except Image.DecompressionBombError:
        raise Unreadable(_too_large("far")) from None
    except MemoryError:
        raise Unreadable("takes more memory than there is") from None
    except OSError as error:
        raise Unreadable(error.strerror or _words(error)) from None
    except Exception as error:      # decoders meet damaged files with many kinds, their own and Python's
        raise Unreadable(f"damaged: {_words(error)}") from None


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _too_large(by: str) -> str:
    return f"{by} more than {MOST_PIXELS // 1_000_000} million pixels"


def _check_size(picture: Image.Image) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise Unreadable(f"{width} x {height} pixels")
    if width * height > MOST_PIXELS:
        raise Unreadable(_too_large(f"{width} x {height} is"))


def _orientation(picture: Image.Image) -> int:
    return picture.getexif().get(ORIENTATION, 1)


def _on_its_side(picture: Image.Image) -> bool:
    """Whether the sides will be exchanged; of a TIFF Pillow has done that already."""
    return picture.format != "TIFF" and _orientation(picture) in (5, 6, 7, 8)


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "P":
        colours = np.asarray(picture.getpalette("RGB")).reshape(-1, 3)
        return bool((colours == colours[:, :1]).all())
    return picture.mode in GREY or picture.mode.startswith("I;16")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """The picture as L, RGB or RGBA."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return _scaled(picture)
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture if picture.mode in ("L", "RGB") else picture.convert("L" if picture.mode == "1" else "RGB")


def _scaled(picture: Image.Image) -> Image.Image:
    """Grey of 16 bits or of floats, by its whole range and not by what of it the picture uses."""
    values, top = np.asarray(picture), 65535
    if picture.mode == "F":
        top = 1
    elif picture.format == "TIFF":
        top = 2 ** min(16, int(picture.tag_v2.get(BITS, (16,))[0]))  - 1     # also 12 bits
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > top:
        raise Unreadable(f"grey values from {values.min():.6g} to {values.max():.6g}, not from 0 to {top}")
    return Image.fromarray(np.rint(values * (255 / top)).astype(np.uint8))


def _fitted(picture: Image.Image, size: tuple[int, int], fit: str) -> Image.Image:
    """The picture in that (width, height); where it has it already, its very pixels."""
    if picture.size == size:
        return picture
    (width, height), (w, h) = size, picture.size
    if fit == "stretch":
        return _resized(picture, size, (0, 0, w, h))
    if fit == "crop":
        scale = max(width / w, height / h)
        left, top = (max(0.0, (side - wanted / scale) / 2) for side, wanted in ((w, width), (h, height)))
        return _resized(picture, size, (left, top, w - left, h - top))
    scale = min(width / w, height / h)
    inner = tuple(min(wanted, max(1, round(side * scale))) for side, wanted in ((w, width), (h, height)))
    small = _on_ground(_resized(picture, inner, (0, 0, w, h)), "L" if picture.mode == "L" else "RGB")
    whole = Image.new(small.mode, size, FRAME if small.mode == "L" else (FRAME,) * 3)
    whole.paste(small, tuple((wanted - side) // 2 for side, wanted in zip(inner, size, strict=True)))
    return whole


def _resized(picture: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=GAP)


def _on_ground(picture: Image.Image, mode: str) -> Image.Image:
    """The picture in that mode, L or RGB, without transparent pixels."""
    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, (GROUND,) * 4)
        picture = Image.alpha_composite(ground, picture)
    return picture if picture.mode == mode else picture.convert(mode)


def is_named_so(name: str | os.PathLike) -> bool:
    """Whether a file is a picture by the end of its name."""
    return os.fspath(name).lower().endswith(SUFFIXES)
