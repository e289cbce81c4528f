"""Files of arrays, and single IDX files, as data sets."""

import io
import os
import zipfile

import numpy as np
import pytest
from data_sets import idx

from minivae import data
from minivae.data import Reading, array_files
from minivae.errors import MinivaeError, UsageError


class Trap:
    """Whoever unpickles it leaves a file."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def load(path, **reading):
    return data.load(str(path), Reading(**reading))


@pytest.mark.parametrize("names", [("X", "y", "x_test", "y_test"), ("x_train", "y_train", "x_test", "y_test"),
                                   ("train_images", "train_labels", "test_images", "test_labels")])
def test_images_and_labels_with_a_split(tmp_path, rng, names):
    """By the names that people give them; labels in a column, too."""
    arrays = (rng.integers(0, 256, (20, 4, 5), np.uint8), np.arange(20) % 3, rng.integers(0, 256, (6, 4, 5), np.uint8),
              np.arange(6)[:, None] % 3)
    np.savez_compressed(tmp_path / "a.npz", **dict(zip(names, arrays, strict=True)), more=np.zeros(3))
    got = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(got.train_images[..., 0], arrays[0])
    np.testing.assert_array_equal(got.test_images[..., 0], arrays[2])
    assert got.train_labels.tolist() == arrays[1].tolist() and got.test_labels.tolist() == arrays[3][:, 0].tolist()


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64, np.bool_])
def test_images_alone(tmp_path, rng, suffix, kind):
    """A share is held out by the split's seed; floats stay unrounded, float32; of every image there is one."""
    images = rng.random((30, 3, 2, 3))
    images = (images > 0.5) if kind == np.bool_ else images.astype(kind) if kind != np.uint8 else (images * 255).astype(kind)
    path = tmp_path / f"a{suffix}"
    np.savez(path, X=np.asfortranarray(images)) if suffix == ".npz" else np.save(path, images)
    one, two, three = load(path, test_share=0.2), load(path, test_share=0.2), load(path, test_share=0.2, split_seed=1)
    assert (len(one.train_images), len(one.test_images), one.train_labels) == (24, 6, None)
    assert one.train_images.dtype == (np.uint8 if kind in (np.uint8, np.bool_) else np.float32)
    np.testing.assert_array_equal(one.test_images, two.test_images)
    assert not np.array_equal(one.test_images, three.test_images)
    whole = np.concatenate([one.train_images, one.test_images]).reshape(30, -1)
    scale = 255 if kind == np.bool_ else 1
    assert sorted(map(tuple, whole.tolist())) == sorted(map(tuple, (images * scale).astype(whole.dtype).reshape(30, -1).tolist()))


def test_labels_and_their_classes(tmp_path, rng):
    """Every class is trained on; -1 is none."""
    labels = np.r_[np.zeros(20, int), 1, -1]
    np.savez(tmp_path / "a.npz", images=rng.integers(0, 256, (22, 4, 4), np.uint8), labels=labels)
    for seed in range(5):
        got = load(tmp_path / "a.npz", test_share=0.8, split_seed=seed)
        assert 1 in got.train_labels and len(got.test_labels) == 18
        assert sorted([*got.train_labels, *got.test_labels]) == sorted(labels)


def test_an_idx_file(tmp_path, rng):
    images = rng.integers(0, 256, (20, 4, 5), np.uint8)
    (tmp_path / "images").write_bytes(idx(images))
    got = load(tmp_path / "images")
    assert got.image_shape == (4, 5, 1) and (len(got.train_images), len(got.test_images)) == (18, 2)
    (tmp_path / "labels").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(MinivaeError, match="1-dimensional data, but images"):
        load(tmp_path / "labels")


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    """Of an .npz and of an .npy; a file of pickled objects under any name is no kind of data."""
    monkeypatch.chdir(tmp_path)
    trap = np.array([Trap()], object)
    np.savez("a.npz", X=trap)
    np.save("a.npy", trap)
    for name in ("a.npz", "a.npy"):
        with pytest.raises(MinivaeError, match=f"{name} is no file of arrays"):
            load(name)
    os.replace("a.npy", "a.dat")
    with pytest.raises(MinivaeError, match="is no file of arrays|no kind"):
        load("a.dat")
    assert not os.path.exists("unpickled")


def header_only(shape, kind="|u1"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"shape": shape, "fortran_order": False, "descr": kind})
    return out.getvalue()


def zipped(content, name="X.npy"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(("name", "content", "words"), [
    ("a.npz", b"PK\3\4", "no file of arrays"), ("a.npz", zipped(b"x" * 100), "no file of arrays"),
    ("a.npz", zipped(header_only((10**9, 1000, 1000))), "a header of .* with 128 bytes behind it"),
    ("a.npz", zipped(header_only((10, 2, 2)) + b"x" * 39), "a header of|only 39 of 40 bytes"),
    ("a.npz", zipped(b"", "other.npy"), "has no images: of its arrays .none."),
    ("a.npy", b"\x93NUMPY", "no file of arrays"), ("a.npy", header_only((10**9, 1000, 1000)), "no file of arrays|cannot be read"),
    ("a.npy", header_only((9, 2, 2)).replace(b")", b"("), "no file of arrays"),
    ("a.npz", zipped(header_only((9, 2, 2)).replace(b")", b"(")), "no file of arrays"),
    ("a.npy", header_only((-1, 2, 2)), "no file of arrays|cannot be read"), ("a.npy", b"", "no kind that is read")])
def test_damaged_files(tmp_path, name, content, words):
    """In words, without taking the memory that a header promises."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MinivaeError, match=words):
        load(tmp_path / name)


def test_a_bomb(tmp_path, monkeypatch):
    """An archive that would be larger than memory once it is unpacked."""
    monkeypatch.setattr(array_files.os, "sysconf", lambda name: 100)
    (tmp_path / "a.npz").write_bytes(zipped(header_only((200, 10, 10)) + bytes(20_000)))
    with pytest.raises(MinivaeError, match="more than the memory of .* save it as an .npy file"):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize(("arrays", "words"), [
    ({"X": np.zeros((4, 3, 3), np.int64)}, r"a.npz\[X\] is of int64"), ({"X": np.full((4, 3, 3), 2.0)}, "must lie in"),
    ({"X": np.full((4, 3, 3), np.nan)}, "NaN"), ({"X": np.zeros((0, 3, 3), np.uint8)}, "is empty"),
    ({"X": np.zeros((4, 3), np.uint8)}, "must be"), ({"X": np.zeros((4, 3, 3), np.uint8), "y": np.zeros(3, int)}, "3 labels"),
    ({"X": np.zeros((4, 3, 3), np.uint8), "y": np.zeros(4)}, "whole numbers"),
    ({"X": np.zeros((4, 3, 3), np.uint8), "x_test": np.zeros((4, 3, 4), np.uint8)}, "one size"),
    ({"X": np.zeros((4, 3, 3), np.uint8), "x_test": np.zeros((4, 3, 3))}, "one type"), ({"Z": np.zeros(3)}, "has no images"),
    ({"X": np.array(["a"])}, "is of <U1"), ({"X": np.zeros(()), "y": np.zeros((), int)}, "must be")])
def test_arrays_that_are_no_images(tmp_path, arrays, words):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UsageError, match=words):
        load(tmp_path / "a.npz")


def test_what_is_not_for_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.zeros((4, 3, 3), np.uint8))
    with pytest.raises(UsageError, match="--size does not go with this data"):
        load(tmp_path / "a.npz", size=(4, 4))


def test_a_large_file_is_used_where_it_lies(tmp_path, rng, monkeypatch):
    """Its last images are held out, and none is copied; that is said."""
    images, said = rng.random((5000, 2, 2), np.float32), []
    np.save(tmp_path / "a.npy", images)
    monkeypatch.setattr(array_files, "LARGE", images.nbytes)
    got = data.load(str(tmp_path / "a.npy"), say=said.append)
    assert "the last 500 are held out" in said[0] and not got.train_images.flags.owndata
    assert not got.train_images.flags.writeable
    np.testing.assert_array_equal(got.test_images[..., 0], images[4500:])
    images[4200, 1, 1] = np.nan
    np.save(tmp_path / "a.npy", images)
    with pytest.raises(UsageError, match="the first in image 4200"):
        data.load(str(tmp_path / "a.npy"))


def test_what_is_no_regular_file(tmp_path):
    """A pipe, which would never end; a name that is no text."""
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(UsageError, match="no regular file"):
        data.load(str(tmp_path / "pipe.npz"))
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    with pytest.raises(UsageError, match="xff has characters that no settings can hold"):
        data.load(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))


def test_the_name_does_not_matter(tmp_path):
    """A file is what it begins with."""
    images = np.zeros((20, 3, 3), np.uint8)
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", X=images)
    os.replace(tmp_path / "a.npy", tmp_path / "plain.dat")
    os.replace(tmp_path / "b.npz", tmp_path / "b.npy")
    for name in ("plain.dat", "b.npy"):
        assert len(load(tmp_path / name).train_images) == 18


def test_labels_beyond_all_numbers(tmp_path):
    """2^63 and more would become negative; as many classes as the least of them says would fill the memory."""
    images = np.zeros((20, 3, 3), np.uint8)
    np.savez(tmp_path / "a.npz", X=images, y=np.full(20, 2**63, np.uint64))
    with pytest.raises(UsageError, match=r"a.npz\[y\] holds 9223372036854775808, but labels are classes from 0 to 999,999 at "
                       "most, of which a model can know of 0 to 99,999: number"):
        load(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", X=images, y=np.full(20, 999_999))
    assert load(tmp_path / "a.npz").train_labels.max() == 999_999
