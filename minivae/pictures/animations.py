"""Animations: pictures one after the other, over and over, as GIF or WebP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, features

from minivae.errors import MinivaeError, UsageError
from minivae.files import replacing

FORMATS = {".gif": "GIF", ".webp": "WEBP"}
LONGEST = {".gif": 65_535, ".webp": 16_383}     # pixels of a side that the format has room for
SECONDS = 0.08                                  # of a frame: smooth, and a whole number of GIF's hundredths


def moves(path: str | os.PathLike) -> bool:
    """Whether a file of that name holds an animation, not one picture.

    Raises:
        UsageError: it is named like neither.
    """
    ending = Path(path).suffix.lower()
    if ending not in (".png", *FORMATS):
        raise UsageError(f"{path} is named neither as a picture nor as an animation: choose a name that ends in .png, .gif or "
                         ".webp")
    return ending in FORMATS


def there_and_back(frames: Sequence) -> list:
    """The frames, and back from the last but one to the second, so that what repeats them does not jump."""
    return [*frames, *frames[-2:0:-1]]


def save(frames: Sequence[Image.Image], path: str | os.PathLike, seconds: float = SECONDS) -> None:
    """Write the frames as an animation without an end to `path`, *.gif or *.webp; `path` never holds a part of it.

    Greys are exact, and so are colours in WebP; GIF has 256 colours a frame.

    Args:
        frames: at least one, all of one size and mode ("L" or "RGB").
        seconds: how long each is shown; GIF has hundredths.

    Raises:
        UsageError: the name has another ending, no frames, or frames larger than the format has room for.
        MinivaeError: the file cannot be written, or this Pillow cannot write WebP.
    """
    ending = Path(path).suffix.lower()
    if ending not in FORMATS:
        raise UsageError(f"animations are GIF or WebP files, and {path} is not named so; choose a name that ends in .gif or "
                         ".webp")
    if not frames:
        raise UsageError(f"no frames for {path}: give at least one")
    if max(frames[0].size) > LONGEST[ending]:
        raise UsageError(f"frames of {frames[0].width} x {frames[0].height} pixels are too large for {path}: {FORMATS[ending]} "
                         f"has room for {LONGEST[ending]} a side; take fewer or smaller images")
    if ending == ".webp" and not features.check("webp"):
        raise MinivaeError(f"{path} cannot be written, since this Pillow knows no WebP: choose a name that ends in .gif, or "
                           "install Pillow from its wheel")
    with replacing(path) as out:
        frames[0].save(out, format=FORMATS[ending], save_all=True, append_images=list(frames[1:]),
                       duration=round(seconds * 1000), loop=0, **({"lossless": True} if ending == ".webp" else {}))
