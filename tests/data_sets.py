"""Data sets that tests share: parts of the built-in digits, and files like theirs."""

import numpy as np

from minivae import data


def some_digits(train: int, test: int) -> data.Dataset:
    """The first digits to train on and to test with, with their labels."""
    whole = data.load("digits")
    return data.Dataset("digits", whole.train_images[:train], whole.train_labels[:train], whole.test_images[:test],
                        whole.test_labels[:test])


def idx(array) -> bytes:
    """An IDX file of uint8 numbers."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def random_set(folder, train: int, test: int) -> None:
    """Make a folder of four IDX files: images of 8 x 8 of noise in three classes, always the same."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for part, count in (("train", train), ("t10k", test)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 8, 8), np.uint8)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(rng.integers(0, 3, count, np.uint8)))
