"""What a request may hold: JSON of codes, classes and numbers, each within bounds that are said where they are broken."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from minivae.errors import UsageError

LARGEST = 1000.0        # of a code's number, either way; those of images lie within some 5
LONGEST = 1000          # most that a list of other things than a code's numbers may hold
WHOLE = 1e-3            # by how much shares may miss 1
DIGITS = 10**20         # whole numbers from here on are not repeated in an error


class Fields:
    """The fields of a request's JSON, taken by name.

    Args:
        text: the body of the request.
        code: how many numbers a code has.
        classes: how many the model knows; 0 for none.

    Raises (every method, too):
        UsageError: what is wrong with which field.
    """

    def __init__(self, text: bytes, code: int, classes: int):
        try:
            self._found = json.loads(text)
        except (ValueError, RecursionError) as error:       # the latter of brackets nested a thousand deep
            raise UsageError("the request is no JSON: send an object such as {\"code\": [...]}") from error
        if not isinstance(self._found, dict):
            raise UsageError("the request is JSON, but no object: send one such as {\"code\": [...]}")
        self._code, self._classes = code, classes

    def code(self, name: str = "code") -> np.ndarray:
        """A code: float32 (code,)."""
        return self._a_code(self._field(name), name)

    def codes(self, name: str = "codes") -> np.ndarray:
        """Some codes: float32 (count, code)."""
        found = self._some(name, "codes")
        return np.stack([self._a_code(code, f"{name}[{i}]") for i, code in enumerate(found)])

    def label(self, name: str = "class") -> np.ndarray | None:
        """A class as its share of all of them, or such shares: float32 (classes,); None for a model that knows of none."""
        return self._a_class(self._found.get(name), name)

    def labels(self, count: int, name: str = "classes") -> np.ndarray | None:
        """The same of `count` codes: float32 (count, classes)."""
        if not self._classes:
            return self._a_class(self._found.get(name), name)
        found = self._some(name, "classes")
        if len(found) != count:
            raise UsageError(f"{name} has {len(found)} classes, but there are {count} codes: give one for each")
        return np.stack([self._a_class(label, f"{name}[{i}]") for i, label in enumerate(found)])

    def word(self, name: str, words: Sequence[str]) -> str:
        """One of the words."""
        found = self._field(name)
        if found not in words:
            raise UsageError(f"{name} is {_short(found)}, but must be {' or '.join(map(repr, words))}")
        return found

    def indices(self, name: str, count: int) -> list[int]:
        """Which of `count` things."""
        found = self._some(name, "indices")
        for index in found:
            if type(index) is not int or not 0 <= index < count:
                raise UsageError(f"{name} holds {_short(index)}, but there are 0 to {count - 1}")
        return found

    def values(self, name: str = "values") -> np.ndarray:
        """Some numbers: float32 (count,)."""
        return self._numbers(self._some(name, "numbers"), name)

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        found = self._field(name)
        if type(found) is not int or not least <= found <= most:
            raise UsageError(f"{name} is {_short(found)}, but must be a whole number from {least} to {most}")
        return found

    def _field(self, name: str):
        if name not in self._found:
            raise UsageError(f"the request has no field {name!r}: add it")
        return self._found[name]

    def _some(self, name: str, what: str) -> list:
        found = self._field(name)
        if not isinstance(found, list) or not 1 <= len(found) <= LONGEST:
            raise UsageError(f"{name} is {_short(found)}, but must be a list of 1 to {LONGEST} {what}")
        return found

    def _a_code(self, found, name: str) -> np.ndarray:
        if not isinstance(found, list) or len(found) != self._code:
            raise UsageError(f"{name} is {_short(found)}, but a code of this model is a list of {self._code} numbers")
        return self._numbers(found, name)

    def _numbers(self, found: list, name: str) -> np.ndarray:
        for value in found:
            if type(value) not in (int, float) or not -LARGEST <= value <= LARGEST:     # NaN is not, either
                raise UsageError(f"{name} holds {_short(value)}, but takes numbers from {-LARGEST:g} to {LARGEST:g}")
        return np.array(found, np.float32)

    def _a_class(self, found, name: str) -> np.ndarray | None:
        classes = self._classes
        if not classes and found is not None:
            raise UsageError(f"{name} is {_short(found)}, but this model knows of no classes: leave it out")
        if not classes:
            return None
        if isinstance(found, list) and len(found) == classes:
            shares = self._numbers(found, name)
            if shares.min() >= 0 and abs(shares.sum() - 1) < WHOLE:
                return shares
        if type(found) is not int or not 0 <= found < classes:
            raise UsageError(f"{name} is {_short(found)}, but must be one of the model's classes 0 to {classes - 1}, or a "
                             "list of their shares, which make 1")
        return np.eye(classes, dtype=np.float32)[found]


def _short(value) -> str:
    """A value in words, never more than a line of them."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value) if not isinstance(value, int) or abs(value) < DIGITS else "a number of many digits"
    return text if len(text) <= 40 else f"{text[:40]}..."
