"""Files that are either whole or not there: written aside in the same folder, synced, then renamed."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from minivae.errors import MinivaeError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)      # no room: on the disk, for this user, for one file


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file to write to; on leaving without an exception it takes the place of `path`.

    Raises:
        MinivaeError: the folder cannot be written, or the disk is full; `path` is then as it was.
    """
    path = Path(os.path.realpath(path))     # through a link to its target
    if path.exists() and not path.is_file():
        raise MinivaeError(f"cannot write {path}: it is no regular file; choose another name")
    try:
        descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _cannot(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, 0o666 & ~_umask())      # mkstemp makes files that only their owner may read
        os.replace(aside, path)
        _sync_folder(path.parent)
    except BaseException as error:
        Path(aside).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot(path, error) from error
        raise


def sweep(folder: str | os.PathLike, suffixes: Iterable[str]) -> None:
    """Remove what `replacing` left beside files of these kinds where its process was killed, in a folder that no other
    process writes to.

    Args:
        suffixes: ends of their names.
    """
    left = re.compile(rf"\..*({'|'.join(map(re.escape, suffixes))})\.[a-z0-9_]{{8}}")     # as tempfile names them
    for path in list(Path(folder).glob(".*")):
        if left.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a loss of power, where the system can sync folders; else it does so when it likes."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:         # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):      # of file systems that know no such thing
            raise
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cannot(path: Path, error: OSError) -> MinivaeError:
    fix = "make room there" if error.errno in FULL else "choose a place that can be written"
    return MinivaeError(f"cannot write {path}: {error.strerror or error}; {fix}")
