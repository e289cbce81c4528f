"""Animations: every frame is what it should be, for as long as it should be, over and over."""

import numpy as np
import pytest
from PIL import Image

from minivae import files
from minivae.errors import MinivaeError, UsageError
from minivae.pictures import animations


def frames(count, mode, rng):
    shape = (12, 20) if mode == "L" else (12, 20, 3)
    return [Image.fromarray(rng.integers(0, 256, shape, np.uint8)) for _ in range(count)]


@pytest.mark.parametrize(("ending", "mode"), [(".gif", "L"), (".webp", "L"), (".webp", "RGB")])
def test_frames_come_back_exactly(tmp_path, rng, ending, mode):
    drawn, path = frames(5, mode, rng), tmp_path / f"x{ending}"
    animations.save(drawn, path, seconds=0.12)
    with Image.open(path) as read:
        assert read.n_frames == 5 and read.info["loop"] == 0 and read.size == (20, 12)
        for i, frame in enumerate(drawn):
            read.seek(i)
            read.load()
            assert read.info["duration"] == 120 and read.convert(mode).tobytes() == frame.tobytes()
    assert list(tmp_path.iterdir()) == [path]


def test_colours_in_gif_are_near(tmp_path):
    """256 of them a frame: of a smooth picture each is within a few levels."""
    y, x = np.mgrid[0:32, 0:32].astype(np.uint8) * 8
    drawn = [Image.fromarray(np.stack([x, y, np.full_like(x, level)], -1)) for level in (0, 200)]
    animations.save(drawn, tmp_path / "x.gif")
    with Image.open(tmp_path / "x.gif") as read:
        for i, frame in enumerate(drawn):
            read.seek(i)
            assert np.abs(np.asarray(read.convert("RGB")).astype(int) - np.asarray(frame)).mean() < 8


def test_there_and_back():
    assert animations.there_and_back([1, 2, 3, 4]) == [1, 2, 3, 4, 3, 2] and animations.there_and_back([1, 2]) == [1, 2]
    assert animations.there_and_back([1]) == [1]


def test_a_name_says_what_it_is(tmp_path, rng):
    names = ("a.png", "b.GIF", tmp_path / "c.webp", "D.PNG")
    assert [animations.moves(name) for name in names] == [False, True, True, False]
    for name in ("x.jpg", "x", "png", ".gif.txt"):
        with pytest.raises(UsageError, match=r"ends in \.png, \.gif or \.webp"):
            animations.moves(name)
    with pytest.raises(UsageError, match=r"choose a name that ends in \.gif or \.webp"):
        animations.save(frames(1, "L", rng), tmp_path / "x.png")
    with pytest.raises(UsageError, match="no frames"):
        animations.save([], tmp_path / "x.gif")


def test_what_a_format_has_no_room_for(tmp_path):
    with pytest.raises(UsageError, match="frames of 16384 x 1 pixels are too large for .*WEBP has room for 16383 a side"):
        animations.save([Image.new("L", (16384, 1))], tmp_path / "x.webp")
    with pytest.raises(UsageError, match="GIF has room for 65535"):
        animations.save([Image.new("L", (1, 65536))], tmp_path / "x.gif")
    animations.save([Image.new("L", (16383, 1))] * 2, tmp_path / "x.webp")


def test_webp_that_is_not_there(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(animations.features, "check", lambda what: False)
    with pytest.raises(MinivaeError, match=r"knows no WebP: choose a name that ends in \.gif"):
        animations.save(frames(2, "L", rng), tmp_path / "x.webp")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path, rng, monkeypatch, ending):
    def full(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / f"x{ending}"
    path.write_text("old")
    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(MinivaeError, match="No space left"):
        animations.save(frames(3, "L", rng), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
