"""A person's own picture, of any size and kind, as the model takes it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageOps

from minivae.errors import UsageError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")     # none that starts another program, as EPS does
PIXELS = 64_000_000     # of a picture, more than nearly all cameras make; 256 MB once it is decoded


def image_of(file: bytes, image_shape: tuple[int, int, int], *, invert: bool = False) -> np.ndarray:
    """The picture in a file, its middle in the model's proportions, scaled to the model's size.

    Args:
        file: what it holds; of several pictures the first is taken.
        image_shape: (height, width, channels), in grey for 1 channel and in colour for 3.
        invert: swap light and dark.

    Returns:
        uint8 of that shape. What is transparent is white.

    Raises:
        UsageError: no picture that can be read, or one of too many pixels.
    """
    height, width, channels = image_shape
    try:
        with Image.open(io.BytesIO(file), formats=FORMATS) as picture:
            if picture.width * picture.height > PIXELS:
                raise UsageError(f"the picture has {picture.width:,} x {picture.height:,} pixels, but may have "
                                 f"{PIXELS:,}: make it smaller")
            picture.draft("RGB", (2 * width, 2 * height))       # a JPEG is then decoded no larger than it must be
            upright = _opaque(ImageOps.exif_transpose(picture)).convert("L" if channels == 1 else "RGB")
    except UsageError:
        raise
    except Image.DecompressionBombError as error:
        raise UsageError(f"the picture has far more than {PIXELS:,} pixels: make it smaller") from error
    except Exception as error:      # a decoder of broken files raises whatever it stumbles over
        raise UsageError("this is no picture that can be read: take a PNG, JPEG, WebP, TIFF, BMP or GIF") from error
    fitted = ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(ImageOps.invert(fitted) if invert else fitted).reshape(image_shape)


def _opaque(picture: Image.Image) -> Image.Image:
    """The picture over white; of 16 bits a pixel, in 8."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if not picture.has_transparency_data:
        return picture
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
