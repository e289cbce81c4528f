"""Images as PNG data addresses, of a bounded number of bytes."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from PIL import Image

LONGEST = 160       # pixels of a tile's longer side; larger images are scaled down
LEAST = 4           # to which a tile is scaled down at most; one of so few pixels is smaller than any budget's share
TRIED = 8           # tiles by which the others' size is guessed


def shrunk(images: np.ndarray) -> np.ndarray:
    """The images as uint8, their longer side at most LONGEST.

    Args:
        images: (count, height, width, channels), channels 1 or 3, of floats in [0, 1] or of uint8; NaN is black.
    """
    if max(images.shape[1:3]) <= LONGEST:
        return _as_bytes(images)
    small = [np.asarray(_scaled(_as_bytes(image), LONGEST)) for image in images]
    return np.stack(small).reshape(len(small), *small[0].shape[:2], images.shape[3])


def tiles(images: np.ndarray, budget: int) -> list[str]:
    """The images as addresses (data:image/png;base64,...), scaled down together where they would be too large.

    Args:
        images: as shrunk() takes them.
        budget: bytes that all addresses together have at most, as long as that leaves each LEAST pixels a side.
    """
    pixels = shrunk(images)
    side = longest = max(pixels.shape[1:3])
    tried = [_address(tile, side) for tile in pixels[::max(1, len(pixels) // TRIED)]]
    size = sum(map(len, tried)) * len(pixels) / len(tried)
    while True:
        if size > budget:
            side = max(min(LEAST, longest), min(side - 1, int(0.95 * side * math.sqrt(budget / size))))
        found = [_address(tile, side) for tile in pixels]
        size = sum(map(len, found))
        if size <= budget or side <= LEAST:
            return found


def _as_bytes(images: np.ndarray) -> np.ndarray:
    if images.dtype == np.uint8:
        return images
    # NaN first: it passes through clip, and what a cast makes of it depends on the machine.
    return np.rint(np.clip(np.where(np.isnan(images), 0, images), 0, 1) * 255).astype(np.uint8)


def _scaled(pixels: np.ndarray, side: int) -> Image.Image:
    """A picture of one image, its longer side at most `side` pixels."""
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if max(picture.size) <= side:
        return picture
    factor = side / max(picture.size)
    return picture.resize(tuple(max(1, round(n * factor)) for n in picture.size), Image.Resampling.BOX)


def _address(pixels: np.ndarray, side: int) -> str:
    file = io.BytesIO()
    _scaled(pixels, side).save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
