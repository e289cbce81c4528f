"""Labels of pictures: from folders and from tables, by names and by numbers."""

import numpy as np
import pytest
from picture_files import load, own_cache, save, smooth  # noqa: F401

from minivae import data
from minivae.data import table
from minivae.errors import MinivaeError


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


def test_whole_labels_are_sorted_as_numbers():
    assert table.numbered(["10", "9", None, "10"]) == ([1, 0, -1, 1], ("9", "10"))
    assert table.numbered(["10", "9", "x"]) == ([0, 1, 2], ("10", "9", "x"))


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
