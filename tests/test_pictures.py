"""Grids of images: every tile lies where it should, with the value that it should have."""

import numpy as np
import pytest
from PIL import Image

from minivae import files
from minivae.errors import MinivaeError, UsageError
from minivae.pictures import grids


def noise(count, height=4, width=6, channels=1, seed=0):
    shape = (count, height, width, channels)
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def tile(picture, left, top, width, height):
    """A part of the picture, as (H, W, C)."""
    part = np.asarray(picture)[top : top + height, left : left + width]
    return part.reshape(height, width, -1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_every_tile_lies_in_its_place_and_all_else_is_white(channels, mode):
    images = noise(5, channels=channels)
    picture = grids.grid(images, columns=3, gap=2, scale=1)
    assert picture.mode == mode and picture.size == (3 * 6 + 2 * 2, 2 * 4 + 2)
    canvas = np.full((10, 22, channels), 255, np.uint8)
    for i, image in enumerate(images):
        row, column = divmod(i, 3)
        assert np.array_equal(tile(picture, column * 8, row * 6, 6, 4), image)
        canvas[row * 6 : row * 6 + 4, column * 8 : column * 8 + 6] = image
    assert np.array_equal(np.asarray(picture).reshape(canvas.shape), canvas)


@pytest.mark.parametrize(("side", "scale"), [(28, 2), (32, 2), (8, 7), (56, 1), (100, 1), (1, 56)])
def test_small_images_are_enlarged_by_whole_pixels(side, scale):
    images = noise(1, side, side)
    picture = grids.grid(images, columns=1)
    assert picture.size == (side * scale, side * scale) and side * scale >= 56
    enlarged = np.kron(images[0, :, :, 0], np.ones((scale, scale), np.uint8))
    assert np.array_equal(np.asarray(picture), enlarged)


@pytest.mark.filterwarnings("error")  # a cast of NaN warns, and gives 0 only by luck
def test_floats_are_rounded_and_clipped_and_nan_is_black():
    values = [0.0, 1.0, 0.5, -3.0, 7.0, np.nan, np.inf, -np.inf, 100 / 255]
    for dtype in (np.float16, np.float32, np.float64):
        images = np.array(values, dtype).reshape(-1, 1, 1, 1)
        drawn = np.asarray(grids.grid(images, columns=9, gap=0, scale=1))[0]
        assert drawn.tolist() == [0, 255, 128, 0, 255, 0, 255, 0, 100]


def test_fewer_images_than_columns_leave_no_empty_columns():
    assert grids.grid(noise(2), columns=10, gap=3, scale=1).size == (15, 4)


def test_side_by_side_puts_each_reconstruction_under_its_source():
    sources, reconstructions = noise(5, 28, 28, seed=1), noise(5, 28, 28, seed=2)
    picture = grids.side_by_side(sources, reconstructions, columns=3)
    pair = 2 * 56 + grids.GAP
    assert picture.size == (3 * 56 + 2 * grids.GAP, 2 * pair + grids.PAIR_GAP)
    assert grids.PAIR_GAP > grids.GAP
    for i in range(5):
        row, column = divmod(i, 3)
        left, top = column * (56 + grids.GAP), row * (pair + grids.PAIR_GAP)
        above = tile(picture, left, top, 56, 56)[::2, ::2]
        below = tile(picture, left, top + 56 + grids.GAP, 56, 56)[::2, ::2]
        assert np.array_equal(above, sources[i]) and np.array_equal(below, reconstructions[i])
    gap = tile(picture, 0, pair, picture.width, grids.PAIR_GAP)
    assert (gap == 255).all()


def test_side_by_side_takes_bytes_over_floats():
    sources = noise(2, 28, 28, 3)
    mixed = grids.side_by_side(sources, sources / 255.0, columns=2)
    assert mixed.tobytes() == grids.side_by_side(sources, sources, columns=2).tobytes()


@pytest.mark.parametrize(
    ("images", "settings", "expected"),
    [
        (np.zeros((0, 4, 4, 1)), {}, "(0, 4, 4, 1)"),
        (np.zeros((2, 4, 0, 1)), {}, "(2, 4, 0, 1)"),
        (np.zeros((2, 4, 4)), {}, "(2, 4, 4)"),
        (np.zeros((2, 4, 4, 2)), {}, "channels 1 or 3"),
        (np.zeros((2, 4, 4, 1), np.int64), {}, "int64"),
        (np.zeros((2, 4, 4, 1)), {"columns": 0}, "0 columns"),
        (np.zeros((2, 4, 4, 1)), {"gap": -1}, "gap of -1"),
        (np.zeros((2, 4, 4, 1)), {"scale": 0}, "scale of 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(images, settings, expected):
    with pytest.raises(UsageError) as caught:
        grids.grid(images, **({"columns": 2} | settings))
    assert expected in str(caught.value)


def test_side_by_side_refuses_what_does_not_match():
    with pytest.raises(UsageError, match="as many of both"):
        grids.side_by_side(noise(3), noise(2), columns=2)
    with pytest.raises(UsageError, match="0 columns"):
        grids.side_by_side(noise(2), noise(2), columns=0)


def test_a_saved_picture_is_a_png_with_the_same_pixels_and_nothing_beside_it(tmp_path):
    picture = grids.grid(noise(4, channels=3), columns=2)
    path = tmp_path / "picture.png"
    path.write_text("what was there before")
    grids.save(picture, path)
    with Image.open(path) as read:
        assert read.format == "PNG" and read.mode == "RGB"
        assert read.tobytes() == picture.tobytes()
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_cannot_be_written_is_named_and_leaves_nothing(tmp_path):
    picture = grids.grid(noise(1), columns=1)
    taken = tmp_path / "taken.png"
    taken.mkdir()
    (tmp_path / "file").touch()
    for path in (taken, tmp_path / "none" / "a.png", tmp_path / "file" / "a.png"):
        with pytest.raises(MinivaeError) as caught:
            grids.save(picture, path)
        text = str(caught.value)
        assert f"cannot write {path}" in text and "\n" not in text
    with pytest.raises(UsageError, match=r"a\.jpg is not named so; choose a name that ends in \.png"):
        grids.save(picture, tmp_path / "a.jpg")
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file", taken]
    assert not list(taken.iterdir())


def test_a_write_that_breaks_off_leaves_the_old_picture(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "picture.png"
    path.write_text("old")
    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(MinivaeError, match="No space left"):
        grids.save(grids.grid(noise(1), columns=1), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
