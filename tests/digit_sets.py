"""Parts of the built-in digits, shared by the tests of trainings."""

from minivae import data


def some_digits(train: int, test: int) -> data.Dataset:
    """The first digits to train on and to test with, with their labels."""
    whole = data.load("digits")
    return data.Dataset("digits", whole.train_images[:train], whole.train_labels[:train], whole.test_images[:test],
                        whole.test_labels[:test])
