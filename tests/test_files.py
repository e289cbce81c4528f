"""Folders that are whole or not there."""

import os
import stat

import pytest

from minivae.errors import MinivaeError, UsageError
from minivae.files import new_folder


def test_a_new_folder_appears_when_it_is_full(tmp_path):
    """Nothing is seen before; then all of it, readable as any folder; an empty folder gives way to it."""
    os.umask(mask := os.umask(0))
    for path in (tmp_path / "new", tmp_path / "empty"):
        if path.name == "empty":
            path.mkdir()
        before = sorted(tmp_path.rglob("*.txt"))
        with new_folder(path) as folder:
            (folder / "a.txt").write_text("a")
            assert not (path / "a.txt").exists()
        assert sorted(tmp_path.rglob("*.txt")) == sorted([*before, path / "a.txt"])
        assert stat.S_IMODE(path.stat().st_mode) == 0o777 & ~mask
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "new"]


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "used").mkdir()
    (tmp_path / "used/x").write_text("x")
    (tmp_path / "file").write_text("x")
    for name, words in (("used", "already holds other files: name a new folder"), ("file", "is a file: name a new folder")):
        with pytest.raises(UsageError, match=words), new_folder(tmp_path / name):
            pytest.fail("a folder was given")
    with pytest.raises(MinivaeError, match="cannot write .*/no/such: No such file"), new_folder(tmp_path / "no/such"):
        pytest.fail("a folder was given")
    assert (tmp_path / "used/x").read_text() == (tmp_path / "file").read_text() == "x" and len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_breaks_off_leaves_nothing(tmp_path):
    """An error of the disk is named with the folder's own name; any other comes through as it is."""
    full = OSError(28, "No space left on device")
    for error, expected in ((full, MinivaeError), (KeyboardInterrupt(), KeyboardInterrupt)):
        with pytest.raises(expected) as caught, new_folder(tmp_path / "new") as folder:
            (folder / "half").write_text("half")
            raise error
        assert not list(tmp_path.iterdir())
        if expected is MinivaeError:
            assert f"cannot write {tmp_path / 'new'}: No space left on device; make room there" in str(caught.value)
