"""Images as PNG data addresses, of a bounded number of bytes."""

from __future__ import annotations

import base64
import io
import math

import numpy as np
from PIL import Image

LONGEST = 160       # pixels of a tile's longer side; larger images are scaled down
LEAST = 4           # to which a tile is scaled down at most; a tile of so few pixels is smaller than any budget's share


def tiles(images: np.ndarray, budget: int) -> list[str]:
    """The images as addresses (data:image/png;base64,...), scaled down together where they are large.

    Args:
        images: (count, height, width, channels), channels 1 or 3, of floats in [0, 1] or of uint8; NaN is black.
        budget: bytes that all addresses together have at most, as long as that leaves each LEAST pixels a side.
    """
    pixels = as_bytes(images)
    side = min(LONGEST, max(pixels.shape[1:3]))
    while True:
        found = [_address(tile, side) for tile in pixels]
        size = sum(map(len, found))
        if size <= budget or side <= LEAST:
            return found
        side = max(LEAST, min(side - 1, int(0.95 * side * math.sqrt(budget / size))))


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Images as uint8."""
    if images.dtype == np.uint8:
        return images
    # NaN first: it passes through clip, and what a cast makes of it depends on the machine.
    return np.rint(np.clip(np.where(np.isnan(images), 0, images), 0, 1) * 255).astype(np.uint8)


def _address(pixels: np.ndarray, side: int) -> str:
    """One tile, its longer side at most `side` pixels."""
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if max(picture.size) > side:
        factor = side / max(picture.size)
        picture = picture.resize(tuple(max(1, round(n * factor)) for n in picture.size), Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
