"""What tells one data set from another, without reading all of it."""

from __future__ import annotations

import hashlib

import numpy as np

from minivae.data import Dataset

SAMPLED = 256       # images of each split, evenly spaced


def fingerprint(dataset: Dataset) -> str:
    """A digest of the shapes and types of the images, of some of them, and of all labels."""
    digest = hashlib.sha256()
    for images in (dataset.train_images, dataset.test_images):
        chosen = np.linspace(0, max(len(images) - 1, 0), min(len(images), SAMPLED)).astype(np.int64)
        _add(digest, images.shape, images[chosen])
    for labels in (dataset.train_labels, dataset.test_labels):
        if labels is not None:
            _add(digest, labels.shape, labels.astype(np.int64))
    return digest.hexdigest()


def _add(digest, shape: tuple[int, ...], array: np.ndarray) -> None:
    digest.update(f"{shape} {array.dtype.str}\n".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
