"""Files, and folders of them, that are either whole or not there: written aside, synced, then renamed."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from minivae.errors import MinivaeError, UsageError

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
        os.chmod(aside, 0o666 & ~umask())      # mkstemp makes files that only their owner may read
        os.replace(aside, path)
        _sync_folder(path.parent)
    except BaseException as error:
        Path(aside).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _cannot(path, error) from error
        raise


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A folder to write files to; on leaving without an exception it becomes `path`, and until then nothing is there.

    Raises:
        UsageError: `path` is a file, or a folder that holds something.
        MinivaeError: it cannot be written, or the disk is full; nothing is left then.
    """
    path = Path(os.path.realpath(path))
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(f"{path} {'already holds other files' if path.is_dir() else 'is a file'}: name a new folder")
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise _cannot(path, error) from error
    try:
        yield aside
        for file in aside.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        _sync_folder(aside)
        os.chmod(aside, 0o777 & ~umask())
        os.rename(aside, path)
        _sync_folder(path.parent)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
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


def umask() -> int:
    """Which permissions new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cannot(path: Path, error: OSError) -> MinivaeError:
    fix = "make room there" if error.errno in FULL else "choose a place that can be written"
    return MinivaeError(f"cannot write {path}: {error.strerror or error}; {fix}")
