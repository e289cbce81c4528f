"""Which pictures there are, with their labels and where they belong: of a folder, or of a CSV table."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from minivae.data import cache, finding, folders, table
from minivae.data.finding import File, shown
from minivae.data.reading import FOLDERS
from minivae.errors import UsageError


@dataclass(frozen=True, eq=False)
class Listing:
    """The pictures of a data set.

    Attributes:
        root: the folder that the files' names are below.
        files: of the pictures.
        refused: (name, reason) of what could not be looked at.
        labels: the class of each picture, None for one without; None where there are no labels.
        origin: where the labels are from, in words.
        test: whether each picture is one to test with, where the folders say it.
    """

    root: str
    files: list[File]
    refused: list[tuple[str, str]]
    labels: Sequence[str | None] | None
    origin: str
    test: list[bool] | None

    @property
    def paths(self) -> list[str]:
        """Of the files."""
        return [os.path.join(self.root, file.name) for file in self.files]

    def key(self) -> str:
        """A name for these very files: it changes with the folder's place, and with the name, the length, the time of the last
        change or the inode's time of any file."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self.files:
            digest.update(os.fsencode(file.name) + b"\0%d %d %d\0" % file[1:])
        return cache.key(os.fsencode(os.path.realpath(self.root)), digest.digest())


def of_folder(folder: str, labels_from: str) -> Listing:
    """The pictures below a folder.

    Raises:
        UsageError: there are none.
        MinivaeError: the folder or the table cannot be read, or has too much.
    """
    found = finding.find(folder)
    if not found.files and found.refused:
        raise UsageError(f"the folder {shown(folder)} has no pictures that can be looked at: {found.refused[0][0]} "
                         f"({found.refused[0][1]}), for one")
    if not found.files:
        others = f", only {found.others:,} other files" if found.others else ""
        raise UsageError(f"the folder {shown(folder)} has no pictures (PNG, JPEG, WebP, TIFF, BMP, GIF, PPM) in it or "
                         f"below{others}, nor the four IDX files of a set like MNIST: name another")
    names = [file.name for file in found.files]
    told = folders.told(names)
    labels, origin = told.classes, "folders"
    if labels_from != FOLDERS:
        labels, origin = table.labels_of(names, table.read(labels_from), labels_from), shown(labels_from)
    return Listing(folder, found.files, found.refused, labels, origin, told.test)


def of_table(path: str) -> Listing:
    """The pictures that a CSV table lists, by their paths from its folder.

    Raises:
        UsageError: none of them is there.
        MinivaeError: the table cannot be read.
    """
    root, files, refused, labels = os.path.dirname(path) or ".", [], [], []
    for name, label in table.read(path).items():
        try:
            files.append(finding.file_of(name, os.stat(os.path.join(root, name))))
            labels.append(label)
        except (OSError, ValueError) as error:
            refused.append((shown(name), getattr(error, "strerror", None) or str(error)))
    if not files:
        several = f"{len(refused):,} files, but none of them is there, such as"
        listed = several if len(refused) > 1 else "1 file that is not there:"
        raise UsageError(f"{shown(path)} lists {listed} {refused[0][0]}: write paths from the folder {shown(root)}")
    return Listing(root, files, refused, labels if any(labels) else None, shown(path), None)
