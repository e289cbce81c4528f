"""IDX files as data sets: a folder of four, or one of images."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minivae.data.dataset import Dataset
from minivae.data.idx import broken, read_idx
from minivae.errors import MinivaeError, UsageError

# In the order in which `from_four` takes them.
STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def present(folder: Path) -> dict[str, Path]:
    """Which of STEMS a folder has, gzipped or not, and where."""
    found = {}
    for stem in STEMS:
        for path in (folder / stem, folder / f"{stem}.gz"):
            if os.path.isfile(path):  # unlike Path.is_file, False where it may not look
                found.setdefault(stem, path)
    return found


def complete(folder: Path) -> list[Path]:
    """The paths of the four files in a folder, in the order of STEMS.

    Raises:
        UsageError: it lacks some.
    """
    found = present(folder)
    missing = [f"{stem}[.gz]" for stem in STEMS if stem not in found]
    if missing:
        raise UsageError(f"the folder {folder} lacks {', '.join(missing)}: put the files there")
    return list(found.values())


def from_four(name: str, paths: list[Path]) -> Dataset:
    """The data set of four files.

    Args:
        paths: in the order of STEMS.

    Raises:
        MinivaeError: files that are broken or disagree.
    """
    train_images, train_labels = read_pair(paths[0], paths[1])
    test_images, test_labels = read_pair(paths[2], paths[3])
    if train_images.shape[1:] != test_images.shape[1:]:
        sizes = ["{} x {}".format(*images.shape[1:3]) for images in (train_images, test_images)]
        raise MinivaeError(f"{paths[0]} holds images of {sizes[0]} and {paths[2]} of {sizes[1]}; "
                           "use train and test files of the same data set")
    return Dataset(name, train_images, train_labels, test_images, test_labels)


def read_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, height, width, 1) and labels (count,) of two files.

    Raises:
        MinivaeError: files that are broken or disagree.
    """
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, array, rank, what in (
        (images_path, images, 3, "images: count, height, width"),
        (labels_path, labels, 1, "labels: count"),
    ):
        if array.ndim != rank:
            raise broken(path, f"{array.ndim}-dimensional data", f"{rank} ({what})")
    if len(images) != len(labels):
        raise MinivaeError(f"{images_path} holds {len(images)} images and {labels_path} {len(labels)} "
                           "labels; use two files of the same data set")
    return images[..., np.newaxis], labels


def read_images(path: str | os.PathLike) -> np.ndarray:
    """The images of one file, uint8 (count, height, width, channels).

    Raises:
        MinivaeError: it is broken, or holds no images.
    """
    found = read_idx(path)
    if found.ndim == 3:
        return found[..., np.newaxis]
    if found.ndim == 4:
        return found
    raise MinivaeError(f"{path} holds {found.ndim}-dimensional data, but images have 3 dimensions (count, height, width) "
                       "or 4")
