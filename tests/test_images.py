"""Images from files."""

import gzip
import os

import numpy as np
import pytest
from data_sets import idx
from PIL import Image

from minivae.errors import MinivaeError, MinivaeWarning, UsageError
from minivae.images import read


def test_pictures_and_idx_files(tmp_path, rng):
    """In the order of the files; of many in one file each has its number; colour becomes grey where the model is grey."""
    many, one = rng.integers(0, 256, (3, 4, 5), np.uint8), rng.integers(0, 256, (4, 5), np.uint8)
    (tmp_path / "many").write_bytes(idx(many))
    (tmp_path / "many.gz").write_bytes(gzip.compress(idx(many[:1])))
    Image.fromarray(one).save(tmp_path / "one.png")
    Image.fromarray(np.stack([one] * 3, -1)).save(tmp_path / "colour.png")
    names, images = read([tmp_path / name for name in ("one.png", "many", "many.gz", "colour.png")], (4, 5, 1))
    assert [name.removeprefix(f"{tmp_path}/") for name in names] == ["one.png", "many[0]",
                                                                      "many[1]", "many[2]", "many.gz", "colour.png"]
    np.testing.assert_array_equal(images[..., 0], [one, *many, many[0], one])
    _, images = read([tmp_path / "one.png"], (4, 5, 3))
    np.testing.assert_array_equal(images, np.stack([one] * 3, -1)[None])


@pytest.mark.parametrize(("content", "words"), [
    (None, "cannot be read .No such file"), (b"hello", "is no picture that can be read"), (b"", "is no picture"),
    (idx(np.zeros((2, 4, 6), np.uint8)), r"holds images of 4 x 6 x 1 \(height, width, channels\), but the model takes "
                                            "4 x 5 x 1"),
    (idx(np.zeros(4, np.uint8)), "holds 1-dimensional data, but images have 3"),
    (idx(np.zeros((2, 4, 5), np.uint8))[:-1], "replace it")])
def test_files_that_are_none(tmp_path, content, words):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises((MinivaeError, UsageError), match=words):
        read([tmp_path / "x"], (4, 5, 1))


def test_a_folder_of_which_some_cannot_be_read(tmp_path, rng):
    """Those are left out and named, also what is no regular file; a file that is named itself must be one; so must one of a
    folder's be."""
    one = rng.integers(0, 256, (4, 5), np.uint8)
    Image.fromarray(one).save(tmp_path / "c.png")
    (tmp_path / "a.png").write_bytes(b"x")
    os.symlink("nowhere", tmp_path / "b.png")
    with pytest.warns(MinivaeWarning, match=r"^2 of the 3 pictures in .* are left out: b.png \(No such.*\); a.png \(no picture"):
        names, images = read([tmp_path], (4, 5, 1))
    assert names == [f"{tmp_path}/c.png"]
    np.testing.assert_array_equal(images[..., 0], [one])
    with pytest.raises(MinivaeError, match="a.png is no picture that can be read"):
        read([tmp_path / "a.png"], (4, 5, 1))
    (tmp_path / "c.png").unlink()
    with pytest.raises(MinivaeError, match="has no picture that can be read: b.png"):
        read([tmp_path], (4, 5, 1))
