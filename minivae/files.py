"""Files, and folders of them, that are either whole or not there: written aside, synced, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
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
        os.chmod(aside, 0o666 & ~_umask())      # mkstemp makes files that only their owner may read
        os.replace(aside, path)
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
        os.chmod(aside, 0o777 & ~_umask())
        os.rename(aside, path)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError):
            raise _cannot(path, error) from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _cannot(path: Path, error: OSError) -> MinivaeError:
    fix = "make room there" if error.errno in FULL else "choose a place that can be written"
    return MinivaeError(f"cannot write {path}: {error.strerror or error}; {fix}")
