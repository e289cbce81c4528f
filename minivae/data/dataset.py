"""What loading gives: images and labels, split into train and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minivae.data.reading import Reading


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and their labels, split into train and test.

    Images are (N, H, W, C), C-contiguous, uint8 from files, of ARRAYS and of arrays' files also float32 in [0, 1]; labels are
    whole numbers (N,), -1 where there is none, or None for no labels at all. Train and test images have the same H, W and C.
    Images of a cache may be a read-only map of its file, so that they need not fit into memory. `name` is the name or the
    path that the set was loaded by.

    Attributes:
        class_names: of the classes 0, 1, ... where pictures' labels have names; empty where the numbers are all there is.
        reading: how the files were read, with what was left to the data filled in.
        skipped: (file, reason) of each that could not be read.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray | None
    test_images: np.ndarray
    test_labels: np.ndarray | None
    class_names: tuple[str, ...] = ()
    reading: Reading = Reading()
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of every image."""
        return self.train_images.shape[1:]

    def numbered_as(self, names: Sequence[str]) -> tuple[Dataset, list[str]]:
        """The same set with its labels as the numbers of other classes that have the same names; a class without a name is called
        by its number.

        Args:
            names: of the classes 0, 1, ...

        Returns:
            The set, and those of its classes that have none of these names: their images are then without a label, -1.
        """
        numbers, unknown = {name: number for number, name in enumerate(names)}, set()

        def mapped(labels: np.ndarray | None) -> np.ndarray | None:
            if labels is None:
                return None
            found, places = np.unique(labels, return_inverse=True)
            called = [self.class_names[label] if self.class_names and label >= 0 else str(label) for label in found.tolist()]
            unknown.update(name for name, label in zip(called, found, strict=True) if label >= 0 and name not in numbers)
            return np.array([numbers.get(name, -1) for name in called], np.int64)[places].reshape(labels.shape)

        train, test = mapped(self.train_labels), mapped(self.test_labels)
        return replace(self, train_labels=train, test_labels=test, class_names=tuple(names)), sorted(unknown)


def first_of_each(labels: np.ndarray) -> np.ndarray:
    """The indices of the first image of each class that has one, by class; -1 is none."""
    classes, first = np.unique(labels, return_index=True)
    return first[classes >= 0]
