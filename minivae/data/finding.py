"""Finding the pictures of a folder and of all folders below it."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from minivae.data.picture import is_named_so
from minivae.errors import MinivaeError, UsageError

MOST_FILES = 2_000_000      # pictures
MOST_ENTRIES = 5_000_000    # files and folders that are looked at


class File(NamedTuple):
    """A picture's file, and what tells that it has changed."""

    name: str           # its path below the folder, with slashes
    bytes: int
    changed: int        # nanoseconds
    touched: int        # the inode's own time, which no program can set


class Found(NamedTuple):
    """What a folder holds.

    Attributes:
        files: by name.
        refused: (name, reason) of what cannot be looked at; names as `shown` gives them.
        others: how many files are no pictures by their names.
    """

    files: list[File]
    refused: list[tuple[str, str]]
    others: int


def shown(name: str) -> str:
    """A file's name as text: what of it is no UTF-8 is written with backslashes, line breaks too."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def find(folder: str | os.PathLike) -> Found:
    """The pictures below a folder, by the ends of their names; what begins with a dot is hidden and left alone.

    Links are followed, but no folder is visited twice: loops end.

    Raises:
        UsageError: more than MOST_FILES pictures, or more than MOST_ENTRIES of all kinds.
        MinivaeError: the folder itself cannot be looked into.
    """
    walk = _Walk(os.fspath(folder))
    walk.run()
    walk.files.sort(key=lambda file: os.fsencode(file.name))
    return Found(walk.files, sorted(walk.refused), walk.others)


class _Walk:
    """One walk: real folders first, then those behind links by name, so that a folder that is reached twice is always found
    by the same name."""

    def __init__(self, root: str):
        self.root, self.folders, self.links = root, [""], []
        self.files: list[File] = []
        self.refused: list[tuple[str, str]] = []
        self.others = self.entries = 0
        self.visited: set[tuple[int, int]] = set()

    def run(self) -> None:
        try:
            self._visit(os.stat(self.root))
            os.scandir(self.root).close()
        except OSError as error:
            raise MinivaeError(f"the folder {shown(self.root)} cannot be looked into ({error.strerror}): make it readable or "
                               "name another") from error
        while self.folders or self.links:
            if not self.folders:
                self.links.sort(key=os.fsencode, reverse=True)
                self._enter(self.links.pop())
            else:
                self._look_into(self.folders.pop())

    def _visit(self, status: os.stat_result) -> bool:
        """Whether a folder is met for the first time."""
        key = status.st_dev, status.st_ino
        new = key not in self.visited
        self.visited.add(key)
        return new

    def _enter(self, name: str) -> None:
        try:
            if self._visit(os.stat(os.path.join(self.root, name))):
                self.folders.append(name)
        except OSError as error:
            self.refused.append((shown(name), error.strerror))

    def _look_into(self, folder: str) -> None:
        try:
            with os.scandir(os.path.join(self.root, folder)) as entries:
                for entry in entries:
                    if not entry.name.startswith("."):
                        self._take(entry, f"{folder}/{entry.name}" if folder else entry.name)
        except OSError as error:
            self.refused.append((shown(folder) + "/", error.strerror))

    def _take(self, entry: os.DirEntry, name: str) -> None:
        self.entries += 1
        if self.entries > MOST_ENTRIES or len(self.files) > MOST_FILES:
            raise UsageError(f"{shown(self.root)} holds more than {MOST_FILES:,} pictures or {MOST_ENTRIES:,} files: name a "
                             "folder with fewer")
        try:
            if entry.is_dir():
                if entry.is_symlink():
                    self.links.append(name)
                else:
                    self._enter(name)
            elif not is_named_so(name):
                self.others += 1
            else:
                self.files.append(file_of(name, entry.stat()))
        except (OSError, ValueError) as error:
            self.refused.append((shown(name), getattr(error, "strerror", None) or str(error)))


def file_of(name: str, status: os.stat_result) -> File:
    """The file of that name, by what the system says of it.

    Raises:
        ValueError: it is no regular file, which might never end.
    """
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("no regular file")
    return File(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
