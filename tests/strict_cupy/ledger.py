"""What was asked of the GPU: counts by kind, and while someone watches each launch."""

from collections import Counter
from contextlib import contextmanager
from typing import NamedTuple

LAUNCHES = ("kernel", "product", "fill", "memset", "copy", "add", "multiply", "sum",
            "collective")       # each is work queued on the GPU
TRANSFERS = ("to_host", "to_device")                                                    # each waits, or copies host memory


class Launch(NamedTuple):
    """One kernel launch as the driver gets it: grid and block of three, arguments as bytes."""

    name: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    arguments: tuple[bytes, ...]


counts: Counter[str] = Counter()
_watchers: list[list[Launch]] = []


def count(kind: str) -> None:
    """One more of a kind out of LAUNCHES and TRANSFERS."""
    assert kind in LAUNCHES or kind in TRANSFERS, kind
    counts[kind] += 1


def launched(launch: Launch) -> None:
    """One more kernel launch."""
    count("kernel")
    for watcher in _watchers:
        watcher.append(launch)


@contextmanager
def counting():
    """Within this context the Counter that it gives is filled with what is done; whole at the end."""
    before, found = counts.copy(), Counter()
    try:
        yield found
    finally:
        found.update(counts - before)


@contextmanager
def watching():
    """Within this context every kernel launch is appended to the list that it gives."""
    seen: list[Launch] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)
