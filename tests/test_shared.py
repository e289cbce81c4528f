"""Work that the processes of one machine divide, in memory that they share: sums and exchanges are right, the same bits in
all, the optimizers' steps those of one process, and no other program's memory is ever touched."""

import json
import os
import re
import subprocess

import numpy as np
import pytest
from mpi_program import command, environment, needs_mpi

from minivae.device import cpu
from minivae.errors import MinivaeError
from minivae.optim import OPTIMIZERS
from minivae.parallel.collectives import OnHost
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
        common = group.common_zeros(cpu(), (size,), dtype)
        assert not array.any() and not common.any() and group.divides == bool(shared)
        part = group.part_of(array)
        parts = world.exchange((part.start, part.stop))
        assert not shared or [0, *(end for _, end in parts)] == [*(begin for begin, _ in parts), size]
        for time in range(2):       # the second finds what the first has left
            array[:] = given[world.rank] * (time + 1)
            group.sum_part(array)
            wanted = given.sum(0) * (time + 1)
            np.testing.assert_allclose(array[part], wanted[part], rtol=1e-5, atol=1e-5)
            common[part] = array[part]
            group.spread(array)
            np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-5)
            assert (common == array).all()      # all have written theirs: spread() has waited for them
            world.meet()
        bits.append(array.tobytes().hex())
        del array
gc.collect()
left = len(shared._all) if shared else 0
same, words = world.exchange(bits) == [bits] * world.size, group.describe()
if world.rank == 0:
    json.dump([words, same, left], open(sys.argv[1], "w"))
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
    words, same, left = _told(tmp_path, size)
    assert words.endswith("on one machine, sums through shared memory and MPI") and same and left == 0


@needs_mpi
def test_where_one_cannot_share_all_go_through_mpi(tmp_path):
    """Process 1 has no such memory, as on macOS: nobody waits for it, and nothing is divided."""
    words, same, _ = _told(tmp_path, 2, 1)
    assert re.search(r"on one machine, sums through MPI \(they share no memory: .*memfd_create", words) and same


STEPS = """
import json, sys, time
import numpy as np
from minivae.device import cpu
from minivae.nn import Flat, Module, Parameter
from minivae.optim import OPTIMIZERS, make
from minivae.parallel import mpi
from minivae.parallel.group import ALONE

world, device = mpi.world(), cpu()
group = mpi.group(world, device)

class Model(Module):
    def __init__(self, *sizes):
        rng = np.random.default_rng(1)
        for i, size in enumerate(sizes):
            setattr(self, f"p{i}", Parameter(device.from_host(rng.standard_normal(size))))

def trained(name, sizes, group, grads, **around):
    flat = Flat(Model(*sizes), device, np.float64, group)
    optimizer = make(name, flat, 0.01, **around)
    for each in grads:
        for p, begin in zip(flat.parameters, (begin for begin, _ in flat.segments)):
            p._grad[...], p._fresh = each[begin:begin + p.data.size], False
        optimizer.step()
    return [flat.values.copy(), *(array.copy() for array in optimizer.state.values())]

def read_late(name):
    # What each finds in its state after a step, before all put other numbers in; one of them looks late.
    optimizer = make(name, Flat(Model(300), device, np.float64, group), 0.01)
    kept = {name: np.full_like(array, 7) for name, array in optimizer.state.items()}
    for p in optimizer.flat.parameters:
        p._grad[...], p._fresh = 1.0, False
    optimizer.step()
    time.sleep(0.1 * (world.rank == 1))
    seen = [array.tobytes().hex() for array in optimizer.state.values()]
    optimizer.meet()
    for name, array in optimizer.state.items():
        array[...] = kept[name]
    return seen, all((array == 7).all() for array in optimizer.state.values())

for name in ("rmsprop", "lamb"):
    told = world.exchange(read_late(name))
    assert told == [told[0]] * world.size and told[0][1], name

found = []
for name in OPTIMIZERS:
    for sizes in ((3000, 90, 3), (2,)):
        for around in ({}, {"rescale": 0.5, "clip": 0.02, "weight_decay": 0.1}):
            size = Flat(Model(*sizes), device, np.float64).values.size
            grads = np.random.default_rng(7).standard_normal((3, world.size, size))
            ours = trained(name, sizes, group, grads[:, world.rank], **around)
            alone = trained(name, sizes, ALONE, grads.sum(1), **around)
            for a, b in zip(ours, alone, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-14, err_msg=name)
            found.append(ours[0].tobytes().hex())
assert group.divides and world.exchange(found) == [found] * world.size
if world.rank == 0:
    json.dump(len(found), open(sys.argv[1], "w"))
"""


@needs_mpi
@pytest.mark.parametrize("size", [2, 3])
def test_every_optimizer_makes_the_same_step(tmp_path, size):
    """Of divided gradients, clipped, rescaled and with weight decay, or as they are: the parameters and the state of one
    process that has the whole gradient, to rounding; of two numbers, too, where most processes have none. Of all processes the
    same bits. The state, which they have together, is not overwritten while one of them still reads it."""
    program, out = tmp_path / "steps.py", tmp_path / "steps.json"
    program.write_text(STEPS)
    done = subprocess.run(command(size, program, out), env=environment(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads(out.read_text()) == 4 * len(OPTIMIZERS)


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
        Shared(Pair((None, b""), None, (None, b""), "no room")).zeros(None, (5, 3), np.float32)


def test_several_machines_share_nothing():
    world = Pair()
    world.local_size = 1
    assert Shared(world).missing == "" and OnHost(world, cpu()).words == "MPI"
