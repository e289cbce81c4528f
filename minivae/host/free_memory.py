"""How much memory this process can still take on the host: what is free, within what the system grants it."""

from __future__ import annotations

from pathlib import Path

import psutil

GROUPS = Path("/sys/fs/cgroup")         # where Linux has its control groups: limits of containers and services
MEMBERSHIP = Path("/proc/self/cgroup")
FILES = {2: ("memory.max", "memory.current", ("active_file", "inactive_file")),     # by the groups' version: the limit, what
         1: ("memory.limit_in_bytes", "memory.usage_in_bytes",                      # is used, and what of memory.stat holds
             ("total_active_file", "total_inactive_file"))}                         # files, which gives way


def free_memory() -> int:
    """Bytes that this process can still take: the least of what the machine has, what the control groups of the process
    leave, and what its own limit (ulimit -v) leaves. Swap does not count: a training there never ends."""
    return max(0, min([psutil.virtual_memory().available, *_left_by_groups(), *_left_by_own_limit()]))


def _left_by_groups() -> list[int]:
    """What each group of this process, and each that it is in, leaves; nothing where there are none."""
    try:
        lines = MEMBERSHIP.read_text().splitlines()
    except OSError:         # no Linux
        return []
    left = []
    for line in lines:      # "0::/path" of version 2, "7:memory:/path" of version 1
        _, kinds, path = line.split(":", 2)
        version = 1 if "memory" in kinds.split(",") else 2 if kinds == "" else None
        if version is None:
            continue
        root = GROUPS / "memory" if version == 1 else GROUPS
        group = root / path.lstrip("/")
        # In a container the path may be that of the machine, and its own group's files lie at the root.
        places = [group, *(parent for parent in group.parents if parent == root or root in parent.parents)]
        left += [room for place in places if (room := _left_by(place, version)) is not None]
    return left


def _left_by(place: Path, version: int) -> int | None:
    limit, used, files = FILES[version]
    try:
        most = int((place / limit).read_text())     # "max" where there is none
        stat = dict(line.split() for line in (place / "memory.stat").read_text().splitlines())
        return most - int((place / used).read_text()) + sum(int(stat.get(name, 0)) for name in files)
    except (OSError, ValueError):
        return None


def _left_by_own_limit() -> list[int]:
    process = psutil.Process()
    if not hasattr(process, "rlimit"):      # no Linux
        return []
    limit = process.rlimit(psutil.RLIMIT_AS)[0]
    return [] if limit == psutil.RLIM_INFINITY else [limit - process.memory_info().vms]
