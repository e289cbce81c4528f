"""A few labels among many images: which images keep theirs, and how a model is told of them."""

from __future__ import annotations

import numpy as np

from minivae.device import Device
from minivae.errors import UsageError


def classes_of(labels: np.ndarray) -> int:
    """How many classes the labels of a training set tell apart: 0 to the largest."""
    return int(labels.max()) + 1


def choose(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Which `count` images keep their labels: the same number of each class, drawn by the seed.

    What does not divide is spread over as many classes, also drawn, one more each.

    Args:
        labels: (images,), of a training set; every class below the largest must be there.

    Returns:
        Their indices, ascending.

    Raises:
        UsageError: more than there are, of all or of a class, or fewer than 1 of each class.
    """
    classes, sizes = classes_of(labels), np.bincount(labels)
    if count == 0:
        return np.zeros(0, np.int64)
    if not classes <= count <= len(labels):
        raise UsageError(f"--labels is {count}, but must be 0 or from {classes} (one of each class) to {len(labels)} (all)")
    if count == len(labels):
        return np.arange(count)
    rng = np.random.default_rng([seed, count])
    wanted = np.full(classes, count // classes)
    wanted[rng.permutation(classes)[:count % classes]] += 1
    if (wanted > sizes).any():
        short = int(np.argmax(wanted > sizes))
        raise UsageError(f"--labels is {count}, {wanted[short]} of each class, but class {short} has only {sizes[short]} "
                         f"images: take at most {int(sizes.min()) * classes}, or all {len(labels)}")
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(wanted)]
    return np.sort(np.concatenate(chosen))


def matrix(labels: np.ndarray, count: int, classes: int, device: Device, dtype):
    """The device matrix (count, classes): the first rows one-hot, zero where there are no labels."""
    known = np.zeros((count, classes), dtype)
    known[np.arange(len(labels)), labels] = 1
    return device.from_host(known)
