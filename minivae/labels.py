"""A few labels among many images: which images keep theirs, and how a model is told of them."""

from __future__ import annotations

import numpy as np

from minivae.device import Device
from minivae.errors import UsageError


def classes_of(labels: np.ndarray) -> int:
    """How many classes the labels of a training set tell apart: 0 to the largest; -1 is none."""
    return int(labels.max()) + 1


def a_class(label, classes: int) -> int:
    """The label of one of a model's classes, as Python's own number.

    Raises:
        UsageError: it is none.
    """
    label = label.item() if isinstance(label, (np.generic, np.ndarray)) else label
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < classes:
        raise UsageError(f"label {label!r} is none of the model's classes 0 to {classes - 1}")
    return label


def choose(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Which `count` images keep their labels: the same number of each class, drawn by the seed.

    What does not divide is spread over as many classes, also drawn, one more each.

    Args:
        labels: (images,), of a training set, -1 where there is none; to choose some, every class below the largest must be
            there.

    Returns:
        Their indices, ascending.

    Raises:
        UsageError: more than there are, of all or of a class, or fewer than 1 of each class.
    """
    known = np.flatnonzero(labels >= 0)
    if count == len(known):
        return known
    classes, sizes = classes_of(labels), np.bincount(labels[known])
    if count == 0:
        return np.zeros(0, np.int64)
    if not classes <= count <= len(known):
        raise UsageError(f"--labels is {count}, but must be 0 or from {classes} (one of each class) to {len(known)} (all)")
    rng = np.random.default_rng([seed, count])
    wanted = np.full(classes, count // classes)
    wanted[rng.permutation(classes)[:count % classes]] += 1
    if (wanted > sizes).any():
        short = int(np.argmax(wanted > sizes))
        raise UsageError(f"--labels is {count}, {wanted[short]} of each class, but class {short} has only {sizes[short]} images: "
                         f"take at most {int(sizes.min()) * classes}, or all {len(known)}")
    chosen = [rng.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(wanted)]
    return np.sort(np.concatenate(chosen))


def matrix(labels: np.ndarray, count: int, classes: int, device: Device, dtype):
    """The device matrix (count, classes): the first rows one-hot, zero where there are no labels."""
    known = np.zeros((count, classes), dtype)
    known[np.arange(len(labels)), labels] = 1
    return device.from_host(known)
