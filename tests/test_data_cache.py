"""Decoded pictures in the cache: used again, found damaged, made room for; what a first look at them has told."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from picture_files import folder_of, load, own_cache, save, smooth  # noqa: F401

from minivae.data import cache, decoding, listing, pictures, survey
from minivae.errors import MinivaeError


def test_the_second_start_maps_what_the_first_has_decoded(tmp_path, rng, monkeypatch):
    """Read-only; a change of any file, or of what is asked for, makes another; another share held out does not."""
    folder = folder_of(tmp_path / "a", rng)
    first = load(folder)
    calls = []
    each = decoding.each
    monkeypatch.setattr(pictures, "each", lambda *args: calls.append(args) or each(*args))
    second = load(folder, test_share=0.5)
    assert not calls and len(second.test_images) == 6 and not second.train_images.flags.writeable
    np.testing.assert_array_equal(np.concatenate([first.train_images, first.test_images]),
                                  np.concatenate([second.train_images, second.test_images]))
    load(folder, fit="pad")
    load(folder, split_seed=1)
    save(folder / "cat" / "0.png", smooth(rng))
    load(folder)
    assert len(calls) == 3


def test_damage_is_found_and_mended(tmp_path, rng):
    """A bit anywhere, a file cut short or made longer: said, and decoded again."""
    folder = folder_of(tmp_path / "a", rng)
    (folder / "cat" / "bad.png").write_bytes(b"x")
    good = load(folder, skip_share=0.1)
    images = good.train_images.copy()
    path, = cache.folder().glob("*.images")
    whole = path.read_bytes()
    for content in (whole[:-1], whole + b"x", b"", whole[:100], *(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:]
                                                               for at in (3, 20, 60, 4000, 5000, len(whole) - 3))):
        path.write_bytes(content)
        said = []
        got = load(folder, said, skip_share=0.1)
        assert "are damaged (its" in said[0] and "made again" in said[0] or "another length" in said[0]
        np.testing.assert_array_equal(got.train_images, images)
        assert path.read_bytes() == whole


def test_a_full_disk_leaves_nothing(tmp_path, rng):
    """In words, with what would help."""
    folder = folder_of(tmp_path / "a", rng)
    code = ("import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); from minivae import data\n"
            "try: data.load(sys.argv[1])\nexcept Exception as error: print(type(error).__name__, error)")
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True)
    assert done.stdout.startswith("MinivaeError cannot write the decoded images into"), done.stderr
    assert "take a smaller --size" in done.stdout and "MINIVAE_CACHE" in done.stdout
    assert not [*cache.folder().glob("*.images"), *cache.folder().glob(f".*{cache.PART}")]


def test_a_cache_that_cannot_be_made(tmp_path, rng, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path / "file"))
    with pytest.raises(MinivaeError, match="cannot write the decoded images.*MINIVAE_CACHE"):
        load(folder_of(tmp_path / "a", rng))


def test_old_files_make_room(tmp_path, rng, monkeypatch, own_cache):
    """What was used least recently goes first; parts that a killed process has left go, those of a living one stay."""
    folders = [folder_of(tmp_path / name, rng) for name in "abc"]
    load(folders[0])
    load(folders[1])
    for age, path in enumerate(sorted(own_cache.iterdir(), key=lambda p: p.stat().st_mtime_ns, reverse=True)):
        os.utime(path, (time.time() - 100 * (age + 1),) * 2)
    load(folders[0])        # used again, so it is the newest
    sizes = [path.stat().st_size for path in own_cache.glob("*.images")]
    dead = own_cache / f".dead{cache.PART}"
    dead.write_bytes(b"x")
    os.utime(dead, (0, 0))
    monkeypatch.setattr(cache, "MOST", sum(sizes) + 1000)
    load(folders[2])
    assert not dead.exists() and len(list(own_cache.glob("*.images"))) == 2
    living = own_cache / f".living{cache.PART}"
    living.write_bytes(b"x")
    monkeypatch.setattr(cache, "MOST", 0)
    cache._make_room(next(own_cache.glob("*.images")))      # another process writes to it
    assert living.exists() and len(list(own_cache.glob("*.images"))) == 1
    monkeypatch.setattr(cache, "MOST", sum(sizes) + 1000)
    load(folders[2])
    load(folders[0])
    before = {path: path.stat().st_mtime_ns for path in own_cache.glob("*.images")}
    load(folders[0])
    assert set(before) == set(own_cache.glob("*.images"))       # it was still there


def test_the_survey_is_written_down(tmp_path, rng, own_cache):
    """A damaged one is made again."""
    folder = folder_of(tmp_path / "a", rng)
    files = listing.of_folder(str(folder), "folders")
    one = survey.look_at(files.paths, files.key())
    path = own_cache / f"{files.key()}.json"
    assert json.loads(path.read_text()) == [list(one.common), *one[1:]]
    path.write_text("[")
    assert survey.look_at(files.paths, files.key()) == one


def test_a_crash_at_the_first_look_is_forgotten(tmp_path, rng, monkeypatch, own_cache):
    """At the next start that decoder may not crash: the picture then counts. What is no picture is not looked at again."""
    folder = folder_of(tmp_path / "a", rng, channels=1)
    save(folder / "cat" / "large.png", smooth(rng, 20, 20))
    (folder / "dog" / "bad.png").write_bytes(b"x")
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def patch(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('large.png'): os.kill(os.getpid(), 11)\n"
        "sys.addaudithook(patch)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    files = listing.of_folder(str(folder), "folders")
    found = survey.look_at(files.paths, files.key())
    assert found[:4] == ((12, 12), 12, True, 12) and found.trouble == decoding.CRASHES
    assert not list(own_cache.glob("*.json"))
    (tmp_path / "sitecustomize.py").write_text("")
    found = survey.look_at(files.paths, files.key())
    assert found[:4] == (None, 12, False, 13) and found.trouble.startswith("no picture")
    monkeypatch.setattr(survey, "each", None)
    assert survey.look_at(files.paths, files.key()) == found


def test_why_the_first_cannot_be_read(monkeypatch, own_cache):
    """Of several for different reasons, in whatever order they are done."""
    results = [decoding.Result(1, None, "late"), decoding.Result(0, None, "early")]
    monkeypatch.setattr(survey, "each", lambda job, paths, advance: results)
    assert survey.look_at(["a", "b"], "k") == (None, 0, False, 0, "early")


@pytest.mark.parametrize("content", ["{}", "[]", "null", '[null, "x", 1, 1, ""]', "[[4], 4, true, 1, \"\"]", "[null, -1, true, 1, \"\"]",
                                     "[[4, 4], 4, 1, 1, \"\"]", '[null, 4, true, 1, 5]', "[" * 100_000])
def test_a_survey_that_is_none(tmp_path, rng, own_cache, content):
    """Valid JSON of something else: the pictures are looked at again."""
    folder = folder_of(tmp_path / "a", rng, each=2)
    files = listing.of_folder(str(folder), "folders")
    own_cache.mkdir(parents=True)
    (own_cache / f"{files.key()}.json").write_text(content)
    assert survey.look_at(files.paths, files.key()) == ((12, 12), 12, False, 4, "")
