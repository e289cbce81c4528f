"""IDX, the file format of MNIST: a header with the type and the sizes, then the bare numbers."""

from __future__ import annotations

import gzip
import os
import zlib
from math import prod
from pathlib import Path

import numpy as np

from minivae.errors import MinivaeError

GZIP = b"\x1f\x8b"              # how a file begins that is gzipped,
UNSIGNED = b"\0\0\x08"         # and one of unsigned bytes
MAX_BYTES = 2**31
MAX_DIMENSIONS = 4
CHUNK = 1 << 20

TYPE_NAMES = {
    0x09: "signed bytes",
    0x0B: "16-bit integers",
    0x0C: "32-bit integers",
    0x0D: "32-bit floats",
    0x0E: "64-bit floats",
}


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzipped, as a uint8 array of 1 to 4 dimensions.

    Gzip is told by the file's first bytes, not by its name. Memory stays within about the size that the
    header declares, and within the size of the (unpacked) data, whichever is less.

    Raises:
        MinivaeError: the file is missing, unreadable, damaged, of another type, or not as long as it says.
    """
    path = Path(path)
    try:
        with open(path, "rb") as raw:
            zipped = raw.read(len(GZIP)) == GZIP
            raw.seek(0)
            return _parse_idx(gzip.GzipFile(fileobj=raw) if zipped else raw, path)
    except FileNotFoundError:
        raise MinivaeError(f"{path}: no such file; check the name, or put the file there") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise broken(path, f"damaged gzip data ({error})", "an intact gzip file") from error
    except OSError as error:
        reason = error.strerror or error
        raise MinivaeError(f"{path}: cannot be read ({reason}); "
                           "check that it is a file that you may read") from error


def broken(path: Path, found: str, expected: str) -> MinivaeError:
    """The error for a file that is there but is not what it should be."""
    return MinivaeError(f"{path}: found {found}, expected {expected}; replace it with an intact copy")


def _parse_idx(stream, path: Path) -> np.ndarray:
    magic = _read_up_to(stream, 4)
    if len(magic) < 4:
        raise broken(path, f"a header cut short after {len(magic)} bytes", "at least 4 bytes")
    if magic[:2] != b"\0\0":
        raise broken(path, f"the first bytes {magic.hex(' ')}", "00 00 08 (an IDX file)")
    kind, rank = magic[2], magic[3]
    if kind != 0x08:
        found = TYPE_NAMES.get(kind, "an unknown type")
        raise broken(path, f"IDX type 0x{kind:02x} ({found})", "0x08 (unsigned bytes)")
    if not 1 <= rank <= MAX_DIMENSIONS:
        raise broken(path, f"{rank} dimensions", f"1 to {MAX_DIMENSIONS}")
    header = _read_up_to(stream, 4 * rank)
    if len(header) < 4 * rank:
        raise broken(path, f"a header cut short after {4 + len(header)} bytes", f"{4 + 4 * rank} bytes")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    size, text = prod(shape), " x ".join(map(str, shape))
    if size == 0 or size > MAX_BYTES:
        raise broken(path, f"a declared size of {text}", f"1 to {MAX_BYTES} bytes in all")
    # One byte more than declared shows that there is more, and makes gzip check its checksum.
    body = _read_up_to(stream, size + 1)
    if len(body) != size:
        found = f"only {len(body)} bytes" if len(body) < size else f"more than {size} bytes"
        raise broken(path, f"{found} after the header", f"the declared {text} = {size}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _read_up_to(stream, size: int) -> bytearray:
    # In chunks, as one read of `size` would set aside all that a lying header declares.
    body = bytearray()
    while len(body) < size:
        chunk = stream.read(min(CHUNK, size - len(body)))
        if not chunk:
            break
        body += chunk
    return body
