"""A lock that keeps a second process out of a folder; the system frees it however its holder ends."""

from __future__ import annotations

import errno
import os
import socket
import time
import warnings
import weakref
from pathlib import Path

from minivae.errors import MinivaeError, MinivaeWarning

try:
    import fcntl
except ImportError:     # no such locks on Windows
    fcntl = None

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)      # of a file system without any
NAMED = 300     # bytes of a lock's file that are looked at
TRIES, PAUSE = 5, 0.1       # since whoever looks whether a folder is in use holds its lock for a moment


class Lock:
    """A lock on a file, which is there while it is held: until release(), or until nobody has the Lock any more.

    Args:
        path: the file.
    """

    def __init__(self, path: Path):
        self.path, self._free = path, None

    def acquire(self) -> None:
        """Take the lock; nothing where this Lock has it already. Where the file system has no locks, a warning says so.

        Raises:
            MinivaeError: another process has it, which is named, or the file cannot be made.
        """
        if self._free and self._free.alive:
            return
        try:
            descriptor = self._locked()
        except OSError as error:
            raise MinivaeError(f"cannot write {self.path}: {error.strerror or error}; choose a folder that can be "
                               "written") from error
        if descriptor is None:
            raise MinivaeError(f"{self.path.parent} is in use by {_holder(self.path)}: wait for its end, or take another "
                               "folder")
        self._free = weakref.finalize(self, _free, self.path, descriptor, os.getpid())
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def release(self) -> None:
        """Give the lock back; nothing where this Lock does not have it."""
        if self._free:
            self._free()

    def _locked(self) -> int | None:
        """The open and locked file; None where another process has the lock."""
        for trial in range(TRIES):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                taken = _flock(descriptor)
                if taken is None:
                    warnings.warn(f"the file system of {self.path.parent} has no locks: nothing keeps a second process out of "
                                  "the folder, so see to it that none writes there", MinivaeWarning, stacklevel=4)
                if taken is not False and _same(descriptor, self.path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            if taken is False and trial < TRIES - 1:
                time.sleep(PAUSE)
        return None


def _free(path: Path, descriptor: int, process: int) -> None:
    if os.getpid() == process:      # a fork that ends leaves the lock to its parent
        path.unlink(missing_ok=True)        # first: who opens it from here on makes a new one
    os.close(descriptor)


def in_use(path: Path) -> str | None:
    """Who holds the lock on a file, in words; None where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return _holder(path) if _flock(descriptor) is False else None
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _flock(descriptor: int) -> bool | None:
    """Whether the lock was to be had; None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


def _same(descriptor: int, path: Path) -> bool:
    """Whether the file that was opened is still the one of that name: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(NAMED).decode("utf-8", "replace").strip() or "another process"
    except OSError:
        return "another process"
