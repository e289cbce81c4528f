"""Data sets that tests share: parts of the built-in digits, and files like theirs."""

from minivae import data


def some_digits(train: int, test: int) -> data.Dataset:
    """The first digits to train on and to test with, with their labels."""
    whole = data.load("digits")
    return data.Dataset("digits", whole.train_images[:train], whole.train_labels[:train], whole.test_images[:test],
                        whole.test_labels[:test])


def idx(array) -> bytes:
    """An IDX file of uint8 numbers."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
