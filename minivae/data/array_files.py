"""NumPy's files as data sets: .npy with an array of images, .npz with images and labels. Nothing in them is unpickled."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable

import numpy as np

from minivae import arrays, npy
from minivae.data import split
from minivae.data.dataset import Dataset
from minivae.data.kinds import NPY
from minivae.data.reading import OF_A_SPLIT, Reading, refuse
from minivae.errors import MinivaeError, UsageError

# Names that arrays of an .npz may have, the first that is there: all images, or those to train on, and those to test with.
IMAGES = ("X", "x", "images", "train_images", "x_train", "X_train", "data")
LABELS = ("y", "Y", "labels", "train_labels", "y_train")
TEST_IMAGES = ("x_test", "X_test", "test_images", "X_val", "x_val", "val_images")
TEST_LABELS = ("y_test", "test_labels", "y_val", "val_labels")
LARGE = 1 << 30             # bytes of a file that is used where it lies


def load(name: str, path: str, kind: str, reading: Reading, say: Callable[[str], None]) -> Dataset:
    """The data set of an .npz or .npy file; see arrays.images for what its images may be.

    Where no array holds images to test with, a share of all is held out; see held_out.

    Args:
        kind: NPZ or NPY, which the file is by how it begins, whatever its name.

    Raises:
        UsageError: no images in it, or such as minivae does not take.
        MinivaeError: it is damaged, or holds Python's objects.
    """
    found = {"images": _mapped(path)} if kind == NPY else _members(path)
    train, labels = _images(path, found, IMAGES), _labels(path, found, LABELS)
    if train is None:
        raise UsageError(f"{path} has no images: of its arrays ({', '.join(sorted(found)) or 'none'}) none is called "
                         f"{', '.join(IMAGES)}")
    test, test_labels = _images(path, found, TEST_IMAGES), _labels(path, found, TEST_LABELS)
    _check_count(path, "labels", labels, train)
    if test is None:
        return held_out(Dataset(name, train, labels, train[:0], None if labels is None else labels[:0]), reading, say)
    refuse(reading, OF_A_SPLIT, f"{path} has images to test with")
    _check_count(path, "test labels", test_labels, test)
    if test.shape[1:] != train.shape[1:]:
        raise UsageError(f"{path} has images of {train.shape[1:]} to train on, but of {test.shape[1:]} to test with: give both "
                         "in one size")
    if labels is not None and test_labels is None:
        test_labels = np.full(len(test), -1, np.int64)
    if train.dtype != test.dtype:
        raise UsageError(f"{path} has images of {train.dtype} to train on, but of {test.dtype} to test with: give both in one "
                         "type")
    return Dataset(name, train, labels, test, test_labels if labels is not None else None)


def held_out(whole: Dataset, reading: Reading, say: Callable[[str], None]) -> Dataset:
    """A data set whose images are all to train on, with some held out, drawn by reading.split_seed; of a map of LARGE bytes
    or more the last ones, since to draw would be to copy it.

    Args:
        say: is told which.
    """
    images, labels = whole.train_images, whole.train_labels
    train = len(images) - split.held_out(len(images), reading.test_share)
    if not images.flags.writeable and images.nbytes >= LARGE and labels is None:
        say(f"{train:,} to train on; the last {len(images) - train:,} are held out to test with, as in any file of {LARGE >> 30} GiB "
            "and more, which is not copied")
        return Dataset(whole.name, images[:train], None, images[train:], None, reading=reading)
    say(f"{train:,} to train on, {len(images) - train:,} held out to test with, by --split-seed {reading.split_seed}")
    known = None if labels is None else [None if label < 0 else label for label in labels.tolist()]
    order = np.array(split.order([str(i) for i in range(len(images))], known, reading.split_seed))
    first, second = np.sort(order[:train]), np.sort(order[train:])
    parts = [None if labels is None else labels[part] for part in (first, second)]
    return Dataset(whole.name, images[first], parts[0], images[second], parts[1], reading=reading)


def _mapped(path: str) -> np.ndarray:
    try:
        return npy.mapped(path)
    except OSError as error:
        raise MinivaeError(f"{path} cannot be read ({error.strerror or error}): name a file that you may read") from error
    except npy.FAULTS as error:
        raise _broken(path, error) from error


def _members(path: str) -> dict[str, np.ndarray]:
    """The arrays of an .npz that have a name that is taken."""
    wanted, found = {*IMAGES, *LABELS, *TEST_IMAGES, *TEST_LABELS}, {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if name in wanted:
                    with npy.opened(archive, entry) as member:
                        found[name] = _array(member, entry.file_size, f"{path}[{name}]")
    except OSError as error:
        raise MinivaeError(f"{path} cannot be read ({error.strerror or error}): name a file that you may read") from error
    except npy.FAULTS as error:
        raise _broken(path, error) from error
    return found


def _array(member, size: int, name: str) -> np.ndarray:
    """The array of a zip's member, whose header may not promise more than the member has and the machine can hold."""
    header = npy.header(member)
    if header.bytes > size:
        raise ValueError(f"a header of {header.shape} {header.dtype}, {header.bytes} bytes, with {size} bytes behind it")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if header.bytes > memory:
        raise MinivaeError(f"{name} is of {header.bytes / 1e9:.3g} GB, more than the memory of {memory / 1e9:.3g} GB: save it as "
                           "an .npy file, which is mapped")
    return npy.body(member, header)


def _images(path: str, found: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    name = next((name for name in names if name in found), None)
    if name is None:
        return None
    try:
        return np.ascontiguousarray(arrays.images(found[name], name=f"{path}[{name}]"))
    except TypeError as error:
        raise UsageError(str(error)) from error


def _labels(path: str, found: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    name = next((name for name in names if name in found), None)
    if name is None:
        return None
    try:
        values = found[name]
        values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
        return arrays.labels(values, len(values) if values.ndim else 0, name=f"{path}[{name}]")
    except TypeError as error:
        raise UsageError(str(error)) from error


def _check_count(path: str, what: str, labels: np.ndarray | None, images: np.ndarray) -> None:
    if labels is not None and len(labels) != len(images):
        raise UsageError(f"{path} has {len(images)} images, but {len(labels)} {what}: give one for each, -1 for none")


def _broken(path: str, error: Exception) -> MinivaeError:
    return MinivaeError(f"{path} is no file of arrays that can be used ({npy.shortly(error)}); "
                        f"save one with numpy.savez, arrays called {IMAGES[0]} and {LABELS[0]}")
