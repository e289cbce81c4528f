"""Data sets of pictures: found, labelled, split, decoded once, and what is said of them."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from picture_files import folder_of, smooth

from minivae import data
from minivae.data import Reading, cache, decoding, finding, listing, pictures, split, survey, table
from minivae.errors import MinivaeError, UsageError


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """The cache of one test alone."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("MINIVAE_CACHE", str(folder))
    return folder / "images"


def load(path, say=None, **reading):
    said = [] if say is None else say
    return data.load(str(path), Reading(**reading), said.append)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(path)


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


# ---- labels ----

@pytest.mark.parametrize(("names", "classes", "test"), [
    (["a.png", "b.png"], None, None), (["x/a.png", "x/b.png"], None, None),
    (["x/a/1.png", "x/b/c/2.png", "x/b/3.png"], ["a", "b", "b"], None),
    (["a/1.png", "b/2.png", "3.png"], ["a", "b", None], None),
    (["train/a/1.png", "train/b/2.png", "test/a/3.png"], ["a", "b", "a"], [False, False, True]),
    (["Train/1.png", "val/2.png"], None, [False, True]),
    (["train/1.png", "cats/2.png"], ["train", "cats"], None)])
def test_what_folders_say(names, classes, test):
    from minivae.data.folders import told
    assert told(names) == (classes, test)


def test_a_split_of_ones_own(tmp_path, rng):
    """Folders called train and test are the split; what is in test is never trained on."""
    for part, count in (("train", 7), ("test", 3)):
        for i in range(count):
            save(tmp_path / "s" / part / f"{'ab'[i % 2]}" / f"{i}.png", smooth(rng))
    got = load(tmp_path / "s")
    assert (len(got.train_images), len(got.test_images)) == (7, 3) and got.class_names == ("a", "b")
    assert sorted(got.test_labels) == [0, 0, 1]


@pytest.mark.parametrize("names", ["x/{}.png", "{}.png", "{}"])
@pytest.mark.parametrize(("heading", "delimiter"), [("", ","), ("file,label\n", ","), ("label;image_id\n", ";")])
def test_labels_from_a_table(tmp_path, rng, names, heading, delimiter):
    """By paths, by names, by names without an ending; sorted as numbers where they are; pictures that it lacks have none."""
    for i in range(6):
        save(tmp_path / "p" / "x" / f"f{i}.png", smooth(rng))
    rows = [(names.format(f"f{i}"), str(9 + i % 2)) for i in range(5)]
    if heading.startswith("label"):
        rows = [row[::-1] for row in rows]
    (tmp_path / "t.csv").write_text(heading + "".join(delimiter.join(row) + "\n" for row in rows))
    got = load(tmp_path / "p", labels_from=str(tmp_path / "t.csv"), test_share=0)
    assert got.class_names == ("9", "10") and sorted(got.train_labels.tolist()) == [-1, 0, 0, 0, 1, 1]


def test_a_table_as_the_data(tmp_path, rng):
    """Its pictures, by their paths from its folder; one that is not there is skipped by name."""
    for i in range(10):
        save(tmp_path / "p" / f"{i}.png", smooth(rng))
    lines = [f"p/{i}.png,{'big' if i % 2 else 'small'}" for i in range(10)]
    (tmp_path / "set.csv").write_text("\n".join(lines))
    got = load(tmp_path / "set.csv")
    assert (len(got.train_images), len(got.test_images), got.class_names) == (9, 1, ("big", "small"))
    (tmp_path / "set.csv").write_text("\n".join([*lines, "p/gone.png,big"]))
    assert load(tmp_path / "set.csv", skip_share=0.1).skipped == (("p/gone.png", "No such file or directory"),)


@pytest.mark.parametrize(("content", "words"), [
    (b"", "lists no files"), (b"file,label\n", "lists no files"), (b"\xff\xfe,a\n", "is no CSV table"),
    (b'"a.png,1\n', "is no CSV table"), (b"a.png,1\na.png,2\n", "line 2: a.png has the label '2' here and '1' before"),
    (b",1\n", "line 1: no name of a file"), (b"z.png,1\n", "lists 1 file that is not there: z.png"),
    (b"a\0.png,1\n", ""), (b"x" * 200_000, "")])
def test_tables_that_are_none(tmp_path, content, words):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(MinivaeError, match=words or "t.csv"):
        load(tmp_path / "t.csv")


def test_a_name_that_a_table_leaves_open(tmp_path, rng):
    for place in "ab":
        save(tmp_path / "p" / place / "1.png", smooth(rng))
    (tmp_path / "t.csv").write_text("1.png,x\n")
    with pytest.raises(MinivaeError, match="several of that name"):
        load(tmp_path / "p", labels_from=str(tmp_path / "t.csv"))
    (tmp_path / "t.csv").write_text("c.png,x\n")
    with pytest.raises(MinivaeError, match="lists none of the pictures, such as a/1.png"):
        load(tmp_path / "p", labels_from=str(tmp_path / "t.csv"))


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


# ---- the cache ----

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


# ---- processes ----

def test_a_file_that_crashes_its_decoder_costs_that_file_alone(tmp_path, rng, monkeypatch):
    """And one that hangs: the others of its chunk are read by other processes."""
    folder = folder_of(tmp_path / "a", rng, each=30)
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "def patch(event, args):\n"
        "    if event == 'open' and str(args[0]).endswith('7.png') and 'cat' in str(args[0]): os.kill(os.getpid(), 11)\n"
        "    if event == 'open' and str(args[0]).endswith('dog/4.png'): time.sleep(100)\n"
        "sys.addaudithook(patch)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(decoding, "PATIENCE", 3.0)
    got = load(folder, skip_share=0.2, size=(8, 8), colour="grey")
    assert [name for name, _ in got.skipped] == ["cat/17.png", "cat/27.png", "cat/7.png", "dog/4.png"]
    assert all("crashes" in reason for _, reason in got.skipped)
    assert len(got.train_images) + len(got.test_images) == 56
    (tmp_path / "sitecustomize.py").write_text("")      # what was cached then is not what there is now
    said = []
    got = load(folder, said, size=(8, 8), colour="grey")
    assert got.skipped == () and len(got.train_images) + len(got.test_images) == 60 and "can be now" in said[0]


def test_the_number_of_processes_does_not_matter(tmp_path, rng, monkeypatch):
    folder = folder_of(tmp_path / "a", rng, each=50)
    found = []
    for threads in "13":
        monkeypatch.setenv("MINIVAE_THREADS", threads)
        monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path / threads))
        found.append(load(folder).train_images)
    np.testing.assert_array_equal(*found)


def test_two_processes_at_once(tmp_path, rng, own_cache):
    """Each gets all images, and one file stays."""
    folder = folder_of(tmp_path / "a", rng, each=40)
    code = "import sys; from minivae import data; print(data.load(sys.argv[1]).train_images.sum())"
    both = [subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert said[0][0] == said[1][0] != b"" and [process.returncode for process in both] == [0, 0], said
    assert len(list(own_cache.glob("*.images"))) == 1 and not list(own_cache.glob(".*"))


def test_ctrl_c_leaves_nothing(tmp_path, rng, own_cache):
    """While pictures are decoded: no part of the cache, no process."""
    folder = folder_of(tmp_path / "a", rng, each=200, size=(200, 200), suffix=".jpg")
    code = ("import signal, sys; signal.signal(2, signal.default_int_handler)\n"       # which tests in the background ignore
            "from minivae import data; data.load(sys.argv[1], data.Reading(size=(64, 64), colour='colour'))")
    for _ in range(5):      # it may be done sooner
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stderr=subprocess.PIPE, process_group=0)
        deadline = time.monotonic() + 60
        while not list(own_cache.glob(f".*{cache.PART}")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 2)
        process.communicate(timeout=60)
        if process.returncode != 0:
            break
        shutil.rmtree(own_cache)
    assert process.returncode != 0 and not list(own_cache.glob(f".*{cache.PART}"))
    assert not list(own_cache.glob("*.images"))
    with pytest.raises(ProcessLookupError):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.05)


def test_the_survey_is_written_down(tmp_path, rng, own_cache):
    """A damaged one is made again."""
    folder = folder_of(tmp_path / "a", rng)
    files = listing.of_folder(str(folder), "folders")
    one = survey.look_at(files.paths, files.key())
    path = own_cache / f"{files.key()}.json"
    assert json.loads(path.read_text()) == [list(one.common), *one[1:]]
    path.write_text("[")
    assert survey.look_at(files.paths, files.key()) == one


def test_whole_labels_are_sorted_as_numbers():
    assert table.numbered(["10", "9", None, "10"]) == ([1, 0, -1, 1], ("9", "10"))
    assert table.numbered(["10", "9", "x"]) == ([0, 1, 2], ("10", "9", "x"))


@pytest.mark.parametrize("content", ["{}", "[]", "null", '[null, "x", 1, 1, ""]', "[[4], 4, true, 1, \"\"]", "[null, -1, true, 1, \"\"]",
                                     "[[4, 4], 4, 1, 1, \"\"]", '[null, 4, true, 1, 5]', "[" * 100_000])
def test_a_survey_that_is_none(tmp_path, rng, own_cache, content):
    """Valid JSON of something else: the pictures are looked at again."""
    folder = folder_of(tmp_path / "a", rng, each=2)
    files = listing.of_folder(str(folder), "folders")
    own_cache.mkdir(parents=True)
    (own_cache / f"{files.key()}.json").write_text(content)
    assert survey.look_at(files.paths, files.key()) == ((12, 12), 12, False, 4, "")


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


def test_a_process_that_has_ended_is_ended(tmp_path):
    """What could not be told to it is no error."""
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(b"x")
    process.wait()
    crew = decoding._Crew({}, [])
    crew._end(process)
    assert process.stdout.closed


def test_labels_that_are_called_as_headings_are(tmp_path, rng):
    """A first line of a picture and the label "y" is no heading."""
    for name in "ab":
        save(tmp_path / f"{name}.png", smooth(rng))
    (tmp_path / "t.csv").write_text("a.png,y\nb.png,n\n")
    assert table.read(tmp_path / "t.csv") == {"a.png": "y", "b.png": "n"}
    (tmp_path / "t.csv").write_text("y,what\nn,./b.png\n")
    assert table.read(tmp_path / "t.csv") == {"b.png": "n"}


@pytest.mark.parametrize("second", ["./a.png", "sub/a.png", "a"])
def test_one_picture_by_two_names(tmp_path, rng, second):
    """With two labels it is an error, whichever names; with the same it is not."""
    save(tmp_path / "p" / "sub" / "a.png", smooth(rng))
    for label in "xy":
        (tmp_path / "t.csv").write_text(f"a.png,x\n{second},{label}\n")
        if label == "x":
            assert load(tmp_path / "p", labels_from=str(tmp_path / "t.csv")).class_names == ("x",)
            continue
        with pytest.raises(MinivaeError, match="has the label 'y' here and 'x' before|the same picture"):
            load(tmp_path / "p", labels_from=str(tmp_path / "t.csv"))


def test_labels_as_other_classes(rng):
    """By names, where there are any, else by numbers; of a class that is not among the others there are no labels."""
    images = np.zeros((4, 2, 2, 1), np.uint8)
    named = data.Dataset("x", images, np.array([0, 2, -1, 1]), images[:2], np.array([0, 0]), ("ant", "cat", "dog"))
    got, unknown = named.numbered_as(("cat", "dog"))
    assert got.train_labels.tolist() == [-1, 1, -1, 0] and got.test_labels.tolist() == [-1, -1]
    assert (got.class_names, unknown) == (("cat", "dog"), ["ant"])
    numbered = data.Dataset("x", images, np.array([7, 3, -1, 9], np.int16), images[:0], None)
    got, unknown = numbered.numbered_as(("9", "7"))
    assert got.train_labels.tolist() == [1, -1, -1, 0] and got.test_labels is None and unknown == ["3"]
