"""Decoded images in files of the cache folder, mapped into memory when they are used.

A file is: a head of HEAD bytes (magic, a digest, JSON with the shape and what checks the rest), the pixels, JSON about the
files that could not be read. It is written aside, synced and renamed, so it is whole or not there; two processes that
make the same one do not mind each other. Its head is checked at every use, and so are the pixels where they are not more
than CHECKED. What was used least recently goes where all files together are more than MOST bytes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minivae.errors import MinivaeError
from minivae.files import FULL, umask
from minivae.host import compiler

try:
    import fcntl
except ImportError:     # no such locks on Windows
    fcntl = None

MAGIC = b"minivae images 1"
HEAD = 4096             # bytes before the pixels: a page
DIGEST = 16
CHECKED = 1 << 29       # bytes of pixels up to which they are checked at every use: a third of a second
MOST = 32 << 30         # bytes that stay in the folder
OLD = 60.0              # seconds after which a part of a file that nobody holds is a dead process's
PART = ".part"


class Stored(NamedTuple):
    """What a cached file holds.

    Attributes:
        images: uint8 (count, height, width, channels), a read-only map.
        unread: (name, reason) of the files that could not be read.
        content: a digest of all the files that the images were made of.
    """

    images: np.ndarray
    unread: list[tuple[str, str]]
    content: str


class Damaged(Exception):
    """A cached file that is not as it was written; the text says how."""


def folder() -> Path:
    """Where the cached images lie; it need not exist."""
    return compiler.cache_folder() / "images"


def key(*parts: bytes | str) -> str:
    """A name for what is made of these, and of nothing else."""
    digest = hashlib.blake2b(MAGIC, digest_size=DIGEST)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def load(path: Path) -> Stored | None:
    """What a cached file holds; None where there is none.

    Raises:
        Damaged: it is not as it was written.
    """
    try:
        with open(path, "rb") as file:
            facts = _facts(file.read(HEAD))
            shape = tuple(facts["shape"])
            size = prod(shape)
            if os.fstat(file.fileno()).st_size != HEAD + size + facts["tail"]:
                raise Damaged("it has another length")
            file.seek(HEAD + size)
            tail = file.read(facts["tail"])
            if _digest(tail).hex() != facts["tail_digest"]:
                raise Damaged("its end has changed")
            images = np.memmap(file, np.uint8, "r", HEAD, shape).view(np.ndarray)
            unread = [(str(name), str(reason)) for name, reason in json.loads(tail)]
            checksum, content = facts["checksum"], str(facts["content"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(error.strerror or str(error)) from error
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Damaged("its head says what cannot be") from error
    if checksum is not None and zlib.crc32(images) != checksum:
        raise Damaged("its pixels have changed")
    with suppress(OSError):     # not ours, or read-only: its age stays as it is
        os.utime(path)
    return Stored(images, unread, content)


def _facts(head: bytes) -> dict:
    """What a file's head says."""
    digest, text = head[len(MAGIC):len(MAGIC) + DIGEST], head[len(MAGIC) + DIGEST:]
    if len(head) != HEAD or not head.startswith(MAGIC) or _digest(text) != digest:
        raise Damaged("its head has changed")
    return json.loads(text)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


class Part:
    """A cached file that is being made: pixels go to `path`, from the byte HEAD on.

    Args:
        count, shape: of the images, as many as there may be.

    Attributes:
        path: of the file aside.
    """

    def __init__(self, descriptor: int, path: str, count: int, shape: tuple[int, int, int]):
        self.path, self.count, self.shape = path, count, shape
        self._file, self._row = descriptor, prod(shape)
        if hasattr(os, "posix_fallocate"):      # a full disk is met now, not in the end
            os.posix_fallocate(descriptor, 0, HEAD + count * self._row)

    def without(self, rows: Iterable[int]) -> None:
        """Take out images, by their numbers: those behind them move up."""
        gone = sorted(set(rows))
        for nth, row in enumerate(gone):
            end = gone[nth + 1] if nth + 1 < len(gone) else self.count
            self._move(row + 1, row - nth, end - row - 1)
        self.count -= len(gone)

    def _move(self, first: int, to: int, count: int, at_a_time: int = 1 << 24) -> None:
        source, target, left = (HEAD + first * self._row, HEAD + to * self._row, count * self._row)
        while left:
            data = os.pread(self._file, min(left, at_a_time), source)
            _write(self._file, data, target)
            source, target, left = source + len(data), target + len(data), left - len(data)

    def finish(self, unread: list[tuple[str, str]], content: str) -> None:
        """Complete the file, on the disk, too."""
        size, tail = self.count * self._row, json.dumps(unread).encode()
        os.ftruncate(self._file, HEAD + size)
        _write(self._file, tail, HEAD + size)
        facts = {"shape": [self.count, *self.shape], "tail": len(tail), "tail_digest": _digest(tail).hex(),
                 "checksum": self._checksum(size) if size <= CHECKED else None, "content": content}
        text = json.dumps(facts).encode().ljust(HEAD - len(MAGIC) - DIGEST)
        _write(self._file, MAGIC + _digest(text) + text, 0)
        os.fsync(self._file)

    def _checksum(self, size: int) -> int:
        value, at = 0, HEAD
        while at < HEAD + size:
            data = os.pread(self._file, min(1 << 24, HEAD + size - at), at)
            value, at = zlib.crc32(data, value), at + len(data)
        return value


def _write(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, at)
        view, at = view[written:], at + written


@contextmanager
def making(path: Path, count: int, shape: tuple[int, int, int]) -> Iterator[Part]:
    """A cached file to be made; on leaving without an exception it takes its place, and older ones make room.

    Raises:
        MinivaeError: it cannot be written; nothing is then left of it.
    """
    aside, size = None, count * prod(shape)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_dead_parts(path.parent)
        if size > shutil.disk_usage(path.parent).free:      # where the system cannot set it aside below
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        descriptor, aside = tempfile.mkstemp(prefix=".", suffix=PART, dir=path.parent)
        try:
            if fcntl:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Part(descriptor, aside, count, shape)
            os.chmod(descriptor, 0o666 & ~umask())      # mkstemp makes files that only their owner may read
            os.replace(aside, path)
            aside = None
        finally:
            os.close(descriptor)
    except OSError as error:
        room = f"make room for {size / 1e9:.2g} GB there, take a smaller --size" if error.errno in FULL else "make it writable"
        raise MinivaeError(f"cannot write the decoded images into {path.parent}: {error.strerror or error}; {room}, or choose "
                           "another folder with MINIVAE_CACHE") from error
    finally:
        if aside:
            Path(aside).unlink(missing_ok=True)
    _make_room(path)


def _remove_dead_parts(parent: Path) -> None:
    """Parts of files that processes have left behind which were killed: nobody holds their lock."""
    for part in parent.glob(f".*{PART}") if fcntl else ():
        with suppress(OSError), open(part, "rb") as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > OLD:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                part.unlink()


def _make_room(keep: Path) -> None:
    """Remove what was used least recently, until the folder has MOST bytes; a file that is in use stays until it no longer
    is, since it is mapped. Parts are others' who write to them, or _remove_dead_parts'."""
    found = []
    for path in keep.parent.iterdir():
        with suppress(OSError):
            status = path.stat()
            found.append((path == keep or path.name.endswith(PART), status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, _, size, _ in found)
    for kept, _, size, path in sorted(found):
        if total <= MOST or kept:
            break
        with suppress(OSError):
            path.unlink()
            total -= size
