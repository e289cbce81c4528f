"""CSV tables of pictures and their labels."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path

from minivae.data.finding import MOST_FILES, shown
from minivae.data.picture import is_named_so
from minivae.errors import MinivaeError, UsageError

FILE = ("file", "filename", "file_name", "path", "filepath", "image", "image_id", "img", "name", "id")
LABEL = ("label", "labels", "class", "class_name", "category", "target", "y")
DELIMITERS = ",;\t"
MOST_LINE = 1 << 16         # characters of a line, or of several that quotes make one
NUMBER = re.compile("-?[0-9]{1,18}")


def read(path: str | os.PathLike) -> dict[str, str | None]:
    """The label of each file that a CSV table lists, in its order; None where the field is empty or there is no such column.

    The first line may name the columns, one of FILE and one of LABEL; else the first column is the file and the second,
    if there is one, the label. Fields are parted by commas, semicolons or tabs, as the first line has them.

    Raises:
        MinivaeError: no text that can be read, a line that lacks the file, a file listed twice with different labels, or no
            file at all.
    """
    path = Path(path)
    try:
        with open(path, newline="", encoding="utf-8-sig", errors="strict") as file:
            first = file.readline(MOST_LINE)
            file.seek(0)
            lines = _Lines(file)
            rows = _limited(csv.reader(lines, delimiter=max(DELIMITERS, key=first.count), strict=True), lines, path)
            return _labels(rows, path)
    except OSError as error:
        raise MinivaeError(f"{path} cannot be read ({error.strerror or error}): name a CSV table of files and labels") from error
    except (ValueError, csv.Error) as error:        # the former of what is no UTF-8, and of a path with a null byte
        raise MinivaeError(f"{path} is no CSV table ({error}): give lines of a file and a label, as UTF-8 text") from error


class _Lines:
    """The lines of a file, none of which may be longer than MOST_LINE, nor all together since the last call of row()."""

    def __init__(self, file):
        self._file, self._left = file, MOST_LINE

    def __iter__(self):
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise ValueError(f"a line of more than {MOST_LINE:,} characters")
        if not line:
            raise StopIteration
        return line

    def row(self) -> None:
        """The next line begins a row."""
        self._left = MOST_LINE


def _limited(rows, lines: _Lines, path: Path):
    for number, row in enumerate(rows, 1):
        lines.row()
        if number > MOST_FILES:
            raise UsageError(f"{path} has more than {MOST_FILES:,} lines: give fewer")
        if row and any(row):
            yield number, row


def _labels(rows, path: Path) -> dict[str, str | None]:
    place, found = (0, 1), {}
    for count, (number, row) in enumerate(rows):
        if count == 0 and (named := _columns(row)):
            place = named
            continue
        name = row[place[0]].strip().removeprefix("./") if place[0] < len(row) else ""
        if not name or "\0" in name:
            raise MinivaeError(f"{path}, line {number}: no name of a file in column {place[0] + 1}; complete the line or take it "
                               "out")
        label = (row[place[1]].strip() or None) if place[1] is not None and place[1] < len(row) else None
        if found.setdefault(name, label) != label:
            raise MinivaeError(f"{path}, line {number}: {shown(name)} has the label {label!r} here and {found[name]!r} before; "
                               "leave one of them")
    if not found:
        raise MinivaeError(f"{path} lists no files: give lines of a file and a label")
    return found


def _columns(row: Sequence[str]) -> tuple[int, int | None] | None:
    """The columns of file and label where a line is one of headings; of two the one that is not named is the other."""
    words = [word.strip().lower() for word in row]
    file = next((words.index(name) for name in FILE if name in words), None)
    label = next((words.index(name) for name in LABEL if name in words), None)
    if file is None and (label is None or any(map(is_named_so, words))):        # a picture's label may be "y"
        return None
    if file is None:
        file = 0 if label else 1
    if label is None and len(words) == 2:
        label = 1 - file
    return file, label


def labels_of(names: Sequence[str], listed: dict[str, str | None], path: str) -> list[str | None]:
    """The label of each picture of a folder that a table lists by its path below the folder, by the file's name alone, or
    by that without its ending; None for one that it does not.

    Raises:
        MinivaeError: it lists none of them, a name alone of which there are several, or one twice with different labels.
    """
    short: dict[str, int | None] = {}
    for i, name in enumerate(names):
        base = name.rpartition("/")[2]
        for key in {base, base.rpartition(".")[0]}:
            short[key] = None if key in short else i
    keys = {**short, **{name: i for i, name in enumerate(names)}}
    labels, met = [None] * len(names), {}
    for file, label in listed.items():
        if file not in keys:
            continue
        if keys[file] is None:
            raise MinivaeError(f"{path} lists {shown(file)}, but there are several of that name: write their paths below the "
                               "folder")
        if label != labels[keys[file]] and keys[file] in met:
            raise MinivaeError(f"{path} gives the label {label!r} to {shown(file)}, but {labels[keys[file]]!r} to "
                               f"{shown(met[keys[file]])}, which is the same picture; leave one of them")
        labels[keys[file]], met[keys[file]] = label, file
    if not met:
        raise MinivaeError(f"{path} lists none of the pictures, such as {shown(names[0])}, but {shown(next(iter(listed)))}: write "
                           "their paths below the folder")
    return labels


def numbered(labels: Sequence[str | None]) -> tuple[list[int], tuple[str, ...]]:
    """Labels as numbers, -1 for None, and the names that the numbers stand for: sorted, as numbers where all are."""
    names = {label for label in labels if label is not None}
    whole = all(NUMBER.fullmatch(name) for name in names)
    in_order = sorted(names, key=(lambda name: (int(name), name)) if whole else None)
    numbers = {name: number for number, name in enumerate(in_order)}
    return [-1 if label is None else numbers[label] for label in labels], tuple(in_order)
