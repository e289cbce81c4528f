"""What kind of file it is, by how it begins."""

from __future__ import annotations

import os

from minivae.data.idx import GZIP, UNSIGNED

IDX, NPZ, NPY = "idx", "npz", "npy"
BEGINNINGS = {UNSIGNED: IDX, GZIP: IDX, b"PK\x03\x04": NPZ, b"\x93NUMPY": NPY}       # pictures begin otherwise


def kind_of(path: str | os.PathLike) -> str | None:
    """IDX, NPZ or NPY; None for a file of another kind.

    Raises:
        OSError: it cannot be read.
        ValueError: no file can have that name.
    """
    with open(path, "rb") as file:
        begins = file.read(max(map(len, BEGINNINGS)))
    return next((kind for magic, kind in BEGINNINGS.items() if begins.startswith(magic)), None)
