"""Pictures of many images at once, as PNG: grids, and sources over their reconstructions."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from minivae.errors import UsageError
from minivae.files import replacing

TILE = 56  # pixels; smaller images are enlarged to at least this
GAP = 2
PAIR_GAP = 10
WHITE = 255


def grid(images: np.ndarray, columns: int, gap: int = GAP, scale: int | None = None) -> Image.Image:
    """Lay the images out in rows of `columns`, left to right, on white.

    `images` is (N, H, W, C) with C 1 or 3, of floats in [0, 1] (what lies outside is clipped, NaN is
    black) or of uint8. `gap` is in pixels of the picture. `scale` is the whole number by which each side
    is enlarged; by default the least one that makes the longer side 56 pixels or more. Fewer images than
    columns give a picture just as wide as they need. The picture is of mode "L" for C 1 and "RGB" for C 3.

    Raises:
        UsageError: any other shape, type or number.
    """
    pixels = _pixels(images)
    _check(columns, gap, scale)
    rows = _rows(pixels, columns)
    tiles = [_enlarge(row, scale) for row in rows]
    height = tiles[0].shape[1]
    return _draw(tiles, [i * (height + gap) for i in range(len(tiles))], gap)


def square(images: np.ndarray, scale: int | None = None) -> Image.Image:
    """The images and the scale, as `grid` takes them, in a grid about as wide as high."""
    return grid(images, columns=math.isqrt(max(len(images), 1) - 1) + 1, scale=scale)


def row(images: Sequence[np.ndarray]) -> Image.Image:
    """Images (H, W, C) of one size in a row, each of a type that `grid` takes."""
    return grid(np.concatenate([_pixels(image[np.newaxis]) for image in images]), columns=len(images))


def side_by_side(sources: np.ndarray, reconstructions: np.ndarray, columns: int) -> Image.Image:
    """Lay out rows of sources, each right over the row of their reconstructions.

    Both are (N, H, W, C) of the same shape, of the types that `grid` takes, each its own. The gap between
    two such pairs of rows is wider than that within one.

    Raises:
        UsageError: as `grid` does, and where the shapes differ.
    """
    above, below = _pixels(sources), _pixels(reconstructions)
    if above.shape != below.shape:
        raise UsageError(f"sources of shape {above.shape} and reconstructions of shape {below.shape}: "
                         "give as many of both, of the same size")
    _check(columns, GAP, None)
    tiles, tops, top = [], [], 0
    for upper, lower in zip(_rows(above, columns), _rows(below, columns), strict=True):
        tiles += [_enlarge(upper, None), _enlarge(lower, None)]
        height = tiles[-1].shape[1]
        tops += [top, top + height + GAP]
        top = tops[-1] + height + PAIR_GAP
    return _draw(tiles, tops, GAP)


def save(image: Image.Image, path: str | os.PathLike) -> None:
    """Write the picture to `path`, *.png; `path` never holds half a picture.

    Raises:
        UsageError: the name has another ending.
        MinivaeError: the file cannot be written; what was there before is then as it was.
    """
    if not str(path).lower().endswith(".png"):
        raise UsageError(f"pictures are PNG files, and {path} is not named so; choose a name that ends in .png")
    with replacing(path) as out:
        image.save(out, format="PNG")


def _pixels(images: np.ndarray) -> np.ndarray:
    """The images as uint8 (N, H, W, C)."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise UsageError(f"images of shape {images.shape}: give (count, height, width, channels), "
                         "none of them 0, channels 1 or 3")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UsageError(f"images of type {images.dtype}: give floats in [0, 1] or uint8")
    # NaN first: it passes through clip, and what a cast makes of it depends on the machine.
    unit = np.clip(np.where(np.isnan(images), 0, images), 0, 1)
    return np.rint(unit * 255).astype(np.uint8)


def _check(columns: int, gap: int, scale: int | None) -> None:
    if columns < 1:
        raise UsageError(f"{columns} columns: give 1 or more")
    if gap < 0:
        raise UsageError(f"a gap of {gap} pixels: give 0 or more")
    if scale is not None and scale < 1:
        raise UsageError(f"a scale of {scale}: give 1 or more")


def _rows(pixels: np.ndarray, columns: int) -> list[np.ndarray]:
    return [pixels[start : start + columns] for start in range(0, len(pixels), columns)]


def _enlarge(tiles: np.ndarray, scale: int | None) -> np.ndarray:
    if scale is None:
        scale = -(-TILE // max(tiles.shape[1:3]))
    return tiles.repeat(scale, axis=1).repeat(scale, axis=2)


def _draw(rows: list[np.ndarray], tops: list[int], gap: int) -> Image.Image:
    """Draw each row of tiles (n, h, w, C) at its top; the first row is the longest."""
    count, height, width, channels = rows[0].shape
    shape = (tops[-1] + height, count * (width + gap) - gap, channels)
    canvas = np.full(shape, WHITE, np.uint8)
    for top, row in zip(tops, rows, strict=True):
        for i, tile in enumerate(row):
            left = i * (width + gap)
            canvas[top : top + height, left : left + width] = tile
    return Image.fromarray(canvas[:, :, 0] if channels == 1 else canvas)
