"""Data sets of pictures: found, labelled, split, and what is said of them."""

import os

import numpy as np
import pytest
from PIL import Image
from picture_files import folder_of, load, own_cache, save, smooth  # noqa: F401

from minivae import data
from minivae.data import Reading, cache, finding, pictures, split
from minivae.errors import MinivaeError, UsageError


# ---- what comes of a folder ----

def test_a_folder_of_folders(tmp_path, rng):
    """All pictures are there once, with the name of their folder as the label; a tenth is held out; the sizes and colours are
    the pictures' own, and said."""
    said, folder = [], folder_of(tmp_path / "pets", rng, each=20)
    got = load(folder, said)
    assert got.image_shape == (12, 12, 3) and got.class_names == ("cat", "dog") and got.reading.size == (12, 12)
    assert (len(got.train_images), len(got.test_images)) == (36, 4) and got.skipped == ()
    images, labels = np.concatenate([got.train_images, got.test_images]), np.concatenate([got.train_labels, got.test_labels])
    files = {np.asarray(Image.open(path)).tobytes(): path.parent.name for path in folder.rglob("*.png")}
    assert len(files) == 40
    assert {image.tobytes(): got.class_names[label] for image, label in zip(images, labels, strict=True)} == files
    assert "12 x 12 in colour" in said[0] and "as all of them are" in said[0]
    assert said[1] == "36 to train on, 4 held out to test with, by --split-seed 0; 2 classes from folders"


def test_grey_where_all_are(tmp_path, rng):
    """By itself; --colour and --grey say otherwise."""
    folder = folder_of(tmp_path / "a", rng, channels=1)
    assert load(folder).image_shape == (12, 12, 1) and load(folder, colour="colour").image_shape == (12, 12, 3)
    save(folder / "cat" / "red.png", smooth(rng))
    assert load(folder).image_shape == (12, 12, 3) and load(folder, colour="grey").image_shape == (12, 12, 1)


@pytest.mark.parametrize(("sizes", "expected"), [
    ([(12, 20)], (12, 20)), ([(65, 65)], (64, 64)), ([(12, 20), (30, 33)], (16, 16)), ([(200, 300), (300, 500)], (64, 64)),
    ([(1, 3), (2, 2)], (8, 8))])
def test_the_size_that_data_suggest(tmp_path, rng, sizes, expected):
    """Their own where all have one that is small; else a power of two near the median of the shorter sides."""
    for i, size in enumerate(sizes * 4):
        save(tmp_path / "p" / f"{i}.png", smooth(rng, *size))
    got = load(tmp_path / "p")
    assert got.image_shape[:2] == expected == got.reading.size
    assert load(tmp_path / "p", size=(5, 6)).image_shape[:2] == (5, 6)


def test_what_a_run_records_gives_the_same_images(tmp_path, rng):
    """The reading with all that was left to the data, and nothing is decoded again."""
    folder = folder_of(tmp_path / "a", rng, size=(70, 80))
    one = load(folder)
    two = data.load(str(folder), one.reading)
    assert one.reading == two.reading and np.array_equal(one.test_images, two.test_images)
    assert len(list(cache.folder().glob("*.images"))) == 1


def test_a_split_of_ones_own(tmp_path, rng):
    """Folders called train and test are the split; what is in test is never trained on."""
    for part, count in (("train", 7), ("test", 3)):
        for i in range(count):
            save(tmp_path / "s" / part / f"{'ab'[i % 2]}" / f"{i}.png", smooth(rng))
    got = load(tmp_path / "s")
    assert (len(got.train_images), len(got.test_images)) == (7, 3) and got.class_names == ("a", "b")
    assert sorted(got.test_labels) == [0, 0, 1]


# ---- the split ----

def test_the_split_is_drawn_by_its_seed(tmp_path, rng):
    """Another seed is another split; a picture more or less leaves nearly all others where they are."""
    names = [f"{i}.png" for i in range(1000)]
    held = [set(np.array(names)[split.order(names, None, seed)[-100:]]) for seed in (0, 1, 0)]
    assert held[0] == held[2] and len(held[0] & held[1]) < 30
    more = sorted([*names, "new.png"])
    assert len(held[0] & set(np.array(more)[split.order(more, None, 0)[-100:]])) >= 99


def test_every_class_is_trained_on():
    """Also one of a single image, however much is held out."""
    classes = ["a"] * 50 + ["b"] + ["c"] * 2 + [None] * 5
    for seed in range(20):
        order = split.order([str(i) for i in range(58)], classes, seed)
        assert sorted(order) == list(range(58)) and {classes[i] for i in order[:3]} == {"a", "b", "c"}


@pytest.mark.parametrize(("count", "share", "held"), [(1, 0.1, 0), (2, 0.1, 0), (3, 0.1, 1), (10, 0.9, 8), (100, 0.1, 10),
                                                      (100, 0, 0)])
def test_how_many_are_held_out(count, share, held):
    assert split.held_out(count, share) == held


# ---- what cannot be read ----

def test_a_few_bad_files_are_named_and_left_out(tmp_path, rng):
    """Up to the share; they are named again at the next start, which decodes nothing; the rest is as without them."""
    folder = folder_of(tmp_path / "a", rng, each=20)
    (folder / "cat" / "bad.png").write_bytes(b"no picture")
    (folder / "dog" / "empty.jpg").touch()
    whole = (folder / "cat" / "3.png").read_bytes()
    (folder / "cat" / "cut.png").write_bytes(whole[:len(whole) // 2])
    os.symlink("nowhere", folder / "dog" / "link.png")
    for start in range(2):
        said = []
        got = load(folder, said, skip_share=0.1)
        assert [name for name, _ in got.skipped] == ["cat/bad.png", "cat/cut.png", "dog/empty.jpg", "dog/link.png"]
        assert dict(got.skipped)["dog/empty.jpg"] == "an empty file" and "truncated" in dict(got.skipped)["cat/cut.png"]
        assert said[2] == "4 cannot be read and are left out:" and said[3].startswith("  cat/bad.png: no picture")
        assert len(got.train_images) + len(got.test_images) == 40 == len(got.train_labels) + len(got.test_labels)
    for name, _ in got.skipped:
        (folder / name).unlink()
    for one, two in zip(*((d.train_images, d.train_labels, d.test_images, d.test_labels) for d in (got, load(folder))), strict=True):
        np.testing.assert_array_equal(one, two)


def test_more_than_the_share_stops(tmp_path, rng):
    folder = folder_of(tmp_path / "a", rng, each=20)
    (folder / "cat" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(MinivaeError, match=r"1 of 41 pictures cannot be read, more than --skip-share 0.01 allows: cat/bad.png \(no "
                                           "picture.*or allow more with --skip-share 0.03"):
        load(folder)
    assert not [*cache.folder().glob("*.images"), *cache.folder().glob(f".*{cache.PART}")]
    assert len(load(folder, skip_share=0.03).skipped) == 1
    with pytest.raises(MinivaeError, match="1 of 41"):     # also of what is cached
        load(folder)


def test_no_picture_at_all(tmp_path, rng):
    """An empty folder, one of other files, one of files that are no pictures, one of a single picture, one that is not there."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"has no pictures \(PNG"):
        load(tmp_path / "empty")
    (tmp_path / "empty" / "a.txt").touch()
    with pytest.raises(UsageError, match="only 1 other files"):
        load(tmp_path / "empty")
    (tmp_path / "empty" / "a.png").touch()
    for reading in ({}, {"size": (8, 8), "colour": "grey"}, {"size": (8, 8), "colour": "grey", "skip_share": 1.0}):
        with pytest.raises(MinivaeError, match="a.png"):
            load(tmp_path / "empty", **reading)
    save(tmp_path / "one" / "a.png", smooth(rng))
    got = load(tmp_path / "one")
    assert (len(got.train_images), len(got.test_images)) == (1, 0)
    with pytest.raises(UsageError, match="is a single picture: name the folder"):
        load(tmp_path / "one" / "a.png")
    with pytest.raises(UsageError, match="no data set"):
        load(tmp_path / "nothing")


def test_a_reading_that_does_not_go_with_the_data(tmp_path):
    for reading, words in (({"size": (8, 8)}, "--size"), ({"colour": "grey"}, "--grey"), ({"test_share": 0.5}, "--test-share")):
        with pytest.raises(UsageError, match=f"{words}.* does not go with this data: digits has"):
            data.load("digits", Reading(**reading))


@pytest.mark.parametrize("reading", [{"size": (0, 5)}, {"size": (5,)}, {"size": (5000, 5)}, {"fit": "x"}, {"colour": "red"},
                                     {"test_share": 1.0}, {"test_share": float("nan")}, {"skip_share": -1.0},
                                     {"split_seed": -1}])
def test_readings_that_cannot_be(reading):
    with pytest.raises(UsageError):
        Reading(**reading)


# ---- finding ----

def test_loops_hidden_files_and_odd_names(tmp_path, rng):
    """No folder is entered twice, whatever links there are; what begins with a dot is left alone; names need not be UTF-8,
    nor hold no line breaks; pipes and devices are refused unopened."""
    root = tmp_path / "r"
    save(root / "a" / "1.png", smooth(rng))
    save(root / ".hidden" / "2.png", smooth(rng))
    save(root / "a" / "._1.png", smooth(rng))
    os.symlink(root, root / "a" / "up")
    os.symlink("a", root / "b")
    os.symlink("self", root / "self")
    save(tmp_path / "far" / "3.png", smooth(rng))
    os.symlink(tmp_path / "far", root / "c")
    os.symlink(root / "a" / "1.png", root / "again.png")
    os.mkfifo(root / "pipe.png")
    bad = os.fsencode(root) + b"/\xff\n.png"
    os.link(root / "a" / "1.png", bad)
    found = finding.find(root)
    assert [finding.shown(file.name) for file in found.files] == ["a/1.png", "again.png", "c/3.png", "\\xff\\n.png"]
    assert found.refused == [("pipe.png", "no regular file"), ("self", "Too many levels of symbolic links")] or (
        found.refused == [("pipe.png", "no regular file")])
    got = load(root, skip_share=0.5)
    assert len(got.train_images) + len(got.test_images) == 4


def test_too_many_files(tmp_path, monkeypatch):
    for i in range(5):
        (tmp_path / f"{i}.png").touch()
    monkeypatch.setattr(finding, "MOST_FILES", 3)
    with pytest.raises(UsageError, match="more than 3 pictures"):
        finding.find(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_what_may_not_be_read(tmp_path, rng):
    folder = folder_of(tmp_path / "a", rng, each=20)
    (folder / "cat" / "0.png").chmod(0)
    (folder / "locked").mkdir(mode=0)
    got = load(folder, skip_share=0.1)
    assert got.skipped == (("cat/0.png", "Permission denied"), ("locked/", "Permission denied"))


def test_a_split_of_ones_own_takes_no_other(tmp_path, rng):
    """--test-share and --split-seed say nothing where folders or arrays bring a split, and are not passed over."""
    for part in ("train", "test"):
        for i in range(3):
            save(tmp_path / "s" / part / f"{i}.png", smooth(rng))
    images = np.zeros((4, 3, 3), np.uint8)
    np.savez(tmp_path / "a.npz", X=images, x_test=images)
    for path in (tmp_path / "s", tmp_path / "a.npz"):
        assert len(load(path).test_images) > 2
        with pytest.raises(UsageError, match="--test-share does not go with this data"):
            load(path, test_share=0.5)
        with pytest.raises(UsageError, match="--split-seed does not go with this data"):
            load(path, split_seed=1)


def test_how_many_are_unreadable(tmp_path, rng, monkeypatch):
    """Of few pictures all are counted, wherever the bad ones are; of many it is said of how many."""
    for i in range(200):
        (tmp_path / f"{i:03}.png").write_bytes(b"")
    for i in range(100, 200):
        save(tmp_path / f"{i}.png", smooth(rng, 3, 3))
    with pytest.raises(MinivaeError, match="^100 of 200 pictures cannot.*with --skip-share 0.5$"):
        load(tmp_path, size=(3, 3), colour="grey")
    monkeypatch.setattr(pictures, "ENOUGH", 40)
    with pytest.raises(MinivaeError, match=r"^\d+ of the first [4-9]\d of 200 pictures cannot"):
        load(tmp_path, size=(3, 3), colour="grey")
