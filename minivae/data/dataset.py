"""What loading gives: images and labels, split into train and test."""

from __future__ import annotations

from dataclasses import dataclass

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
