"""Free memory of the host: what the machine, control groups and limits leave."""

import subprocess
import sys

import psutil
import pytest

from minivae.host import free_memory
from minivae.host.free_memory import free_memory as free


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes files of control groups, and what groups the process is in: the machine has all that there is."""
    monkeypatch.setattr(free_memory, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(free_memory, "MEMBERSHIP", tmp_path / "membership")

    def write(membership, **files):
        (tmp_path / "membership").write_text(membership)
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def _v2(folder, limit, used, files=0):
    return {f"{folder}memory.max": limit, f"{folder}memory.current": str(used),
            f"{folder}memory.stat": f"anon 7\nactive_file {files}\ninactive_file 5\nslab 3\n"}


def test_a_group_and_those_around_it(groups):
    """The tightest counts, whichever it is; memory that holds files is as good as free."""
    groups("0::/a/b\n", **_v2("a/b/", "max", 10), **_v2("a/", "5000", 1000, 200), **_v2("", "90000", 7000))
    assert free() == 5000 - 1000 + 200 + 5
    groups("0::/a/b\n", **_v2("a/b/", "1500", 10))
    assert free() == 1500 - 10 + 5


def test_the_older_groups_and_a_container_that_sees_another_path(groups):
    """Version 1 beside an empty version 2; the path is the machine's, the files are at the root."""
    groups("12:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n0::/\n",
           **{"memory/memory.limit_in_bytes": "8000", "memory/memory.usage_in_bytes": "3000",
              "memory/memory.stat": "cache 9\ntotal_active_file 100\ntotal_inactive_file 50\n"})
    assert free() == 8000 - 3000 + 150


def test_no_limit_or_nothing_of_the_kind(groups):
    """What the machine has, within what may change meanwhile; a group that is over its limit leaves nothing."""
    for membership, files in (("0::/\n", {}), ("0::/x\n", _v2("x/", "max", 5)), ("0::/x\n", _v2("x/", "no number", 5))):
        groups(membership, **files)
        assert free() == pytest.approx(psutil.virtual_memory().available, rel=0.2)
    groups("0::/x\n", **_v2("x/", "5000", 9000))
    assert free() == 0


@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="no limit of a process's own here")
def test_the_limit_of_the_process_itself():
    """With `ulimit -v` what is told can be taken, nearly all of it, and no more than it."""
    code = ("import numpy as np, resource\nfrom minivae.host.free_memory import free_memory\n"
            "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\nroom = free_memory()\n"
            "assert room < 3 << 30\nkept = np.empty(int(0.95 * room), np.uint8)\n"
            "try:\n    np.empty(int(0.1 * room), np.uint8)\nexcept MemoryError:\n    print('full')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "full\n", done.stderr
