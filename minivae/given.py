"""What is given from Python beside arrays: numbers, checked and as Python's own; and the words of errors about them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from minivae.errors import MinivaeError, UsageError


def whole(number, name: str, least: int) -> int:
    """A whole number, NumPy's or Python's.

    Raises:
        UsageError: it is none, or below the least.
    """
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
        raise UsageError(f"{name} is {number!r}, but must be a whole number, at least {least}")
    return int(number)


def whole_seed(seed) -> int:
    """A seed, likewise.

    Raises:
        UsageError: it is none.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise UsageError(f"seed is {seed!r}, but must be a whole number from 0 to 2^64 - 1")
    return int(seed)


def plain(value):
    """NumPy's numbers as Python's, sequences as tuples."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(plain(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


@contextmanager
def named_as_arguments() -> Iterator[None]:
    """Errors within this context name options as Python's arguments, not as the command line has them."""
    try:
        yield
    except MinivaeError as error:
        text = re.sub(r"--([a-z]+(?:-[a-z]+)*)", lambda found: found[1].replace("-", "_"), str(error))
        error.args = (text,)
        raise
