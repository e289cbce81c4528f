"""Sums in memory that the processes of one machine share: right, the same bits in all, and never of something else's memory."""

import json
import os
import subprocess

import numpy as np
import pytest
from mpi_program import command, environment, needs_mpi

from minivae.errors import MinivaeError
from minivae.parallel.shared import NAME, TOKEN, Shared, _open

SIZES = [1, 7, 1000, 300_001]        # of one cache line, of less than one for each process, of several chunks and a rest
PROGRAM = """
import gc, json, sys
import numpy as np
from minivae.parallel import mpi
from minivae.device import cpu

world = mpi.world()
if len(sys.argv) > 3 and int(sys.argv[3]) == world.rank:
    import os
    del os.memfd_create
group = mpi.group(world, cpu())
shared, bits = group._collectives.shared, []
for dtype in ("float32", "float64"):
    for size in json.loads(sys.argv[2]):
        given = np.random.default_rng(size).standard_normal((world.size, size)).astype(dtype)
        array = group.zeros(cpu(), (size,), dtype)
        assert not array.any() and (shared.missing or shared.holds(array)) and not shared.holds(array[:1])
        for time in range(2):       # the second finds what the first has left
            array[:] = given[world.rank] * (time + 1)
            group.sum(array)
            np.testing.assert_allclose(array, given.sum(0) * (time + 1), rtol=1e-5, atol=1e-5)
        bits.append(array.tobytes().hex())
        del array
gc.collect()
left = len(shared._all)
same, words = world.exchange(bits) == [bits] * world.size, group.describe()
if world.rank == 0:
    json.dump([shared.missing, words, same, left], open(sys.argv[1], "w"))
"""


def _told(folder, size: int, *more) -> list:
    program, out = folder / "sums.py", folder / "told.json"
    program.write_text(PROGRAM)
    done = subprocess.run(command(size, program, out, json.dumps(SIZES), *more), env=environment(), capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(out.read_text())


@needs_mpi
@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_sum_of_all_in_all(tmp_path, size):
    """Arrays of any length, twice each, in both dtypes; what nobody uses any more is forgotten."""
    missing, words, same, left = _told(tmp_path, size)
    assert missing is None and words.endswith("on one machine, sums through shared memory and MPI") and same and left == 0


@needs_mpi
def test_where_one_cannot_share_all_go_through_mpi(tmp_path):
    """Process 1 has no such memory, as on macOS: nobody waits for it, and all say why."""
    missing, words, same, _ = _told(tmp_path, 2, 1)
    assert "memfd_create" in missing and words.endswith("on one machine, sums through MPI") and same


class Pair:
    """A process and another, of which is known what it tells."""

    rank, size, local_size = 0, 2, 2

    def __init__(self, *others):
        self.others = list(others)

    def exchange(self, value):
        return [value, self.others.pop(0)]


def test_memory_of_another_program_is_refused():
    """Two containers may have processes of the same number: what is found there is not written to."""
    descriptor, stranger = os.memfd_create(NAME), os.memfd_create("another")
    for one in (descriptor, stranger):
        os.write(one, bytes(TOKEN))
    path = f"/proc/{os.getpid()}/fd/{descriptor}"
    assert bytes(_open(path, TOKEN, bytes(TOKEN))) == bytes(TOKEN)
    with pytest.raises(OSError, match="not the memory"):
        _open(path, TOKEN, b"x" * TOKEN)
    with pytest.raises(OSError, match="not the memory"):
        _open(path, 2 * TOKEN, bytes(TOKEN))
    with pytest.raises(OSError, match="not the memory"):
        _open(f"/proc/{os.getpid()}/fd/{stranger}", TOKEN, bytes(TOKEN))
    shared = Shared(Pair((path, b"x" * TOKEN), None))
    assert "not the memory of another process" in shared.missing
    os.close(descriptor)
    os.close(stranger)


def test_no_memory_is_an_error_in_all():
    """Another process's trouble ends this one's call, in words."""
    with pytest.raises(MinivaeError, match=r"shape \(5, 3\) and type float32 cannot be shared among .*: no room"):
        Shared(Pair((None, b""), None, (None, b""), "no room")).zeros((5, 3), np.float32)


def test_several_machines_share_nothing():
    world = Pair()
    world.local_size = 1
    assert Shared(world).missing == "on several machines"
