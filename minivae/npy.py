"""NumPy's arrays in files, .npy and .npz, from anywhere: nothing is unpickled, and no size is believed that is not there."""

from __future__ import annotations

import io
import lzma
import math
import os
import struct
import warnings
import zipfile
import zlib
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

MOST_HEADER = 10_000        # bytes of an array's header, as NumPy has it
LENGTHS = {(1, 0): ("<H", npy.read_array_header_1_0), (2, 0): ("<I", npy.read_array_header_2_0)}
COMPRESSED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)     # as NumPy does it; others may ask for gigabytes to begin with
CHUNK = 1 << 24
# What Python's own zip and NumPy's parts raise, beside ValueError, where a file is damaged.
FAULTS = (ValueError, EOFError, KeyError, IndexError, TypeError, OverflowError, NotImplementedError, RuntimeError, struct.error,
          zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Header(NamedTuple):
    """What an array is like, as its file says."""

    shape: tuple[int, ...]
    fortran: bool           # columns come first
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        """Of all numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def header(file: BinaryIO) -> Header:
    """The header of an array, behind which the file is then.

    Raises:
        ValueError: none, one of Python's objects, or sizes that cannot be.
    """
    try:
        version = npy.read_magic(file)
        form, read = LENGTHS[version]
        prefix = file.read(struct.calcsize(form))
        length, = struct.unpack(form, prefix)
        if length > MOST_HEADER:        # NumPy would read it first, and it may be of 4 GB
            raise ValueError(f"of {length} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # what NumPy mends, and what Python thinks of the text as a program
            found = Header(*read(io.BytesIO(prefix + file.read(length)), max_header_size=MOST_HEADER))
    except OSError:
        raise
    except Exception as error:      # the text is parsed as Python's literals: there is no list of what that raises
        raise ValueError(f"no header of an array ({shortly(error)})") from error
    if found.dtype.hasobject:
        raise ValueError("Python's objects, which are never unpickled")
    if not found.dtype.itemsize or len(found.shape) > 32 or not all(type(size) is int and size >= 0 for size in found.shape):
        raise ValueError(f"an array of {found.dtype} and shape {found.shape}")
    return found


def body(file: BinaryIO, found: Header) -> np.ndarray:
    """The array behind its header, in memory as it comes.

    Raises:
        ValueError: the file ends before.
    """
    data, promised = bytearray(), found.bytes
    while len(data) < promised:
        chunk = file.read(min(CHUNK, promised - len(data)))
        if not chunk:
            raise ValueError(f"only {len(data)} of {promised} bytes")
        data += chunk
    return np.frombuffer(data, found.dtype).reshape(found.shape, order="F" if found.fortran else "C")


def mapped(path: str | os.PathLike) -> np.ndarray:
    """The array of an .npy file, which stays there.

    Raises:
        ValueError: it is damaged.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        found, start = header(file), file.tell()
        there = os.fstat(file.fileno()).st_size - start
        if found.bytes > there:
            raise ValueError(f"a header of {found.shape} {found.dtype}, {found.bytes} bytes, with {there} bytes behind it")
        if not found.bytes:     # which no map can be of
            return np.zeros(found.shape, found.dtype)
        return np.memmap(file, found.dtype, "r", start, found.shape, "F" if found.fortran else "C").view(np.ndarray)


def opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> BinaryIO:
    """A member of an archive, unpacked as it is read.

    Raises:
        ValueError: it is packed in a way that NumPy knows nothing of.
    """
    if entry.compress_type not in COMPRESSED:
        raise ValueError(f"{entry.filename} is compressed by method {entry.compress_type}, not as NumPy does it")
    return archive.open(entry)


def shortly(error: BaseException) -> str:
    """What an error says, in a line of some words."""
    words = " ".join(str(error).split())
    return f"{words[:200]}..." if len(words) > 200 else words or type(error).__name__
