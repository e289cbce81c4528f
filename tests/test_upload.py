"""A person's own pictures, of any size and kind, as the model takes them."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from minivae.errors import UsageError
from minivae.serve.upload import PIXELS, image_of

SHAPES = {"grey": (10, 8, 1), "colour": (10, 8, 3)}


def file_of(picture, format="PNG", **more):
    out = io.BytesIO()
    picture.save(out, format, **more)
    return out.getvalue()


FILES = [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", file_of(Image.new("L", (99, 99)))[:60],
         b"\x89PNG\r\n\x1a\n" + bytes(50)]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_pictures_of_all_modes(mode, shape):
    """Each becomes the model's size and channels; white is white."""
    white = Image.new("L", (37, 50), 255)
    if mode == "I;16":
        picture = Image.fromarray(np.full((50, 37), 65535, np.uint16))
    else:
        picture = white.convert(mode)
    found = image_of(file_of(picture, "TIFF" if mode in ("F", "CMYK", "YCbCr", "I") else "PNG"), shape)
    assert found.shape == shape and found.dtype == np.uint8 and found.min() == 255
    assert image_of(file_of(white), shape, invert=True).max() == 0


def test_what_is_clear_is_white_and_cameras_turn_pictures():
    """Transparent pixels become white, of a palette's too; EXIF's orientation is heeded."""
    assert image_of(file_of(Image.new("RGBA", (9, 9), (0, 0, 0, 0))), (4, 4, 1)).min() == 255
    palette = Image.new("P", (9, 9), 3)
    palette.putpalette([0] * 12)
    assert image_of(file_of(palette, transparency=3), (4, 4, 3)).min() == 255
    upright = Image.new("L", (20, 20))
    upright.paste(255, (0, 0, 20, 10))      # white above
    exif = Image.Exif()
    exif[0x0112] = 3                        # upside down
    found = image_of(file_of(upright, "JPEG", exif=exif), (20, 20, 1))[..., 0]
    assert found[2].max() < 20 and found[-3].min() > 235


def test_the_middle_of_a_picture_is_taken():
    """Of a wide one the sides are cut off, of all formats."""
    picture = Image.new("RGB", (300, 100))
    picture.paste((255, 255, 255), (100, 0, 200, 100))
    for format in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        assert image_of(file_of(picture, format), (28, 28, 1)).min() > 235, format


@pytest.mark.parametrize("file", FILES, ids=range(len(FILES)))
def test_what_is_no_picture(file):
    """In words, not a trace; PostScript, which other programs would have to run, too."""
    with pytest.raises(UsageError, match="no picture that can be read"):
        image_of(file, (28, 28, 1))


def test_a_bomb_is_not_decoded():
    """A file of some kilobytes that says it has billions of pixels is refused before any memory is taken."""
    small = file_of(Image.new("L", (16, 16)))
    header = small[12:16] + (60_000).to_bytes(4, "big") * 2 + small[24:29]
    bomb = small[:12] + header + zlib.crc32(header).to_bytes(4, "big") + small[33:]
    with pytest.raises(UsageError, match=f"far more than {PIXELS:,} pixels"):
        image_of(bomb, (28, 28, 1))
