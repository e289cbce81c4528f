"""One picture of any kind: what is read, how it comes to a size, and what is refused in words."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from picture_files import smooth

from minivae.data import picture
from minivae.data.picture import Look, Unreadable, decode, is_named_so, look


def written(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def read(content, shape, fit="crop"):
    return decode(io.BytesIO(content), shape, fit)


@pytest.mark.parametrize(("kind", "options", "tolerance"), [
    ("PNG", {}, 0), ("BMP", {}, 0), ("TIFF", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0), ("PPM", {}, 0),
    ("WEBP", {"lossless": True}, 0), ("WEBP", {"quality": 95}, 30), ("JPEG", {"quality": 95, "subsampling": 0}, 6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_gives_its_pixels(rng, kind, options, tolerance, channels):
    """At its own size the very pixels, but for what a lossy kind has lost; the header's look agrees."""
    pixels = smooth(rng, 12, 10, channels)
    content = written(Image.fromarray(pixels if channels == 3 else pixels[..., 0]), kind, **options)
    assert np.abs(read(content, (12, 10, channels)).astype(int) - pixels).max() <= tolerance
    assert look(io.BytesIO(content)) == Look(12, 10, channels == 1 and kind != "WEBP")


def test_grey_and_colour_of_each_other(rng):
    """Grey in three equal channels; colour by its luma."""
    grey, colour = smooth(rng, 4, 4, 1), smooth(rng, 4, 4, 3)
    three = read(written(Image.fromarray(grey[..., 0]), "PNG"), (4, 4, 3))
    np.testing.assert_array_equal(three, np.repeat(grey, 3, 2))
    one = read(written(Image.fromarray(colour), "PNG"), (4, 4, 1))
    assert np.abs(one[..., 0] - colour @ np.array([0.299, 0.587, 0.114])).max() < 1


def test_transparent_pixels_lie_on_white(rng):
    """Of RGBA, of grey with alpha, and of a palette with a transparent colour."""
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[..., 3] = [[255, 0], [128, 255]]
    for image in (Image.fromarray(pixels), Image.fromarray(pixels[..., [0, 3]], "LA")):
        found = read(written(image, "PNG"), (2, 2, 1))[..., 0]
        assert np.abs(found.astype(int) - [[0, 255], [127, 0]]).max() <= 1
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([0, 1])
    np.testing.assert_array_equal(read(written(palette, "PNG", transparency=1), (1, 2, 3))[0], [[10, 20, 30], [255] * 3])


def test_a_palette_and_two_colours(rng):
    """A palette gives its colours and is grey where all of them are; one bit a pixel is black and white."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 10, 10, 40, 50, 60])
    image.putdata([0, 1])
    content = written(image, "PNG")
    np.testing.assert_array_equal(read(content, (1, 2, 3))[0], [[10, 10, 10], [40, 50, 60]])
    assert not look(io.BytesIO(content)).grey
    image.putpalette([10, 10, 10, 40, 40, 40])
    assert look(io.BytesIO(written(image, "GIF"))).grey
    bits = written(Image.fromarray(np.array([[True, False]])), "PNG")
    np.testing.assert_array_equal(read(bits, (1, 2, 1)).ravel(), [255, 0])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_their_whole_range(kind):
    """65535 is white, however bright the picture's brightest is."""
    values = np.array([[0, 257, 32768, 40000]], np.uint16)
    content = written(Image.fromarray(values), kind)
    np.testing.assert_array_equal(read(content, (1, 4, 1)).ravel(), [0, 1, 128, 156])
    assert look(io.BytesIO(content)).grey


def test_floats(rng):
    """From 0 to 1 they are scaled; others are refused, since nobody knows their range."""
    values = np.array([[0, 0.5, 1]], np.float32)
    np.testing.assert_array_equal(read(written(Image.fromarray(values), "TIFF"), (1, 3, 1)).ravel(), [0, 128, 255])
    for bad in (values * 2, values - 1, values * np.nan):
        with pytest.raises(Unreadable, match="not from 0 to 1"):
            read(written(Image.fromarray(bad), "TIFF"), (1, 3, 1))


def test_cmyk():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    for kind in ("TIFF", "JPEG"):
        red = read(written(image, kind), (8, 8, 3))[4, 4].astype(int)
        assert np.abs(red - [255, 0, 0]).max() <= 3 and not look(io.BytesIO(written(image, kind))).grey


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_turns_a_picture_upright(rng, kind, orientation):
    """Whatever way the camera was held: as NumPy turns the pixels, and the look knows the upright size."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :12] = 255       # the top left
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = written(Image.fromarray(pixels), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    turn = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.transpose(1, 0, 2),
            6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a.transpose(1, 0, 2), 2), 8: np.rot90}[orientation]
    upright = turn(pixels)
    assert look(io.BytesIO(content))[:2] == upright.shape[:2]
    assert np.abs(read(content, upright.shape).astype(int) - upright).max() <= 8


def test_the_first_frame_of_several():
    frames = [Image.new("L", (4, 4), value) for value in (200, 10)]
    for kind in ("GIF", "TIFF", "WEBP"):
        content = written(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.abs(read(content, (4, 4, 1)).astype(int) - 200).max() <= 2


def test_how_a_picture_comes_to_a_size():
    """A wide picture, black with a white right third: cropped, the third is half cut off; padded, there are bars above and
    below; stretched, it is the right third still."""
    pixels = np.zeros((30, 60), np.uint8)
    pixels[:, 40:] = 255
    content = written(Image.fromarray(pixels), "PNG")
    crop, pad, stretch = (read(content, (12, 12, 1), fit)[..., 0] for fit in ("crop", "pad", "stretch"))
    assert (crop[:, :9] < 30).all() and (crop[:, 11:] > 225).all()
    assert (pad[[0, 1, 2, 9, 10, 11]] == 0).all() and (pad[4:8, 9:] > 225).all() and (pad[:, :7] < 30).all()
    assert (stretch[:, :7] < 30).all() and (stretch[:, 9:] > 225).all()
    small = read(written(Image.fromarray(pixels[:2, 38:42]), "PNG"), (8, 16, 1))[..., 0]
    assert (small[:, 0] == 0).all() and (small[:, -1] == 255).all()


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5)])
def test_odd_sizes(rng, fit, size):
    for shape in ((8, 8, 3), (1, 1, 1), (3, 17, 3)):
        assert read(written(Image.fromarray(smooth(rng, *size)), "PNG"), shape, fit).shape == shape


def test_a_large_jpeg_is_decoded_small(rng):
    """At an eighth its pixels are those of the whole, scaled down."""
    whole = Image.fromarray(smooth(rng, 512, 512))
    found = read(written(whole, "JPEG", quality=95), (32, 32, 3)).astype(int)
    assert np.abs(found - np.asarray(whole.resize((32, 32), Image.Resampling.BOX))).max() <= 8


def bomb(width, height):
    """A PNG of so many pixels in few bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = zlib.compress(b"\0" * (1 << 20))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", row) + chunk(b"IEND", b""))


@pytest.mark.parametrize(("content", "words"), [
    (b"", "no picture"), (b"hello", "no picture"), (b"\x89PNG\r\n\x1a\n", "no picture"),
    (bomb(9000, 9000), "more than 64 million pixels"), (bomb(60_000, 60_000), "more than 64 million pixels"),
    (bomb(2**31 - 1, 2**31 - 1), "more than 64 million pixels"), (bomb(0, 5), "no picture"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "no picture")])
def test_what_is_refused(content, words):
    """Empty, foreign and absurd files, before anything is decoded; PostScript, which Pillow would start a program for."""
    with pytest.raises(Unreadable, match=words):
        read(content, (8, 8, 3))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM"])
def test_damaged_files_are_unreadable_or_read(rng, kind):
    """Cut short anywhere, or with bytes changed: an Unreadable or a picture, nothing else."""
    content = written(Image.fromarray(smooth(rng, 20, 20)), kind)
    cut = 0
    for _ in range(60):
        bad = bytearray(content)
        if rng.random() < 0.5:
            del bad[int(rng.integers(len(bad))):]
        else:
            for at in rng.integers(0, len(bad), 4):
                bad[at] ^= int(rng.integers(1, 256))
        try:
            assert read(bytes(bad), (8, 8, 3)).shape == (8, 8, 3)
        except Unreadable as error:
            cut += 1
            assert str(error) and "\n" not in str(error)
    assert cut > 10


def test_the_limit_counts_what_is_decoded(monkeypatch, rng):
    """A large JPEG whose draft is small enough is read."""
    content = written(Image.fromarray(smooth(rng, 256, 256)), "JPEG")
    monkeypatch.setattr(picture, "MOST_PIXELS", 64 * 64)
    assert read(content, (16, 16, 3)).shape == (16, 16, 3)
    with pytest.raises(Unreadable, match="256 x 256 is more than"):
        read(content, (200, 200, 3))


def test_names():
    assert all(map(is_named_so, ("a.png", "A.JPG", "x/y.JPEG", "b.tif", "c.WebP"))) and not is_named_so("png") and not is_named_so("a.txt")
