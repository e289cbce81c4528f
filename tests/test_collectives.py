"""How a device's arrays are added up over processes: what is asked of MPI and of NCCL, and what the stand-in refuses."""

import subprocess
import sys

import emulator
import numpy as np
import pytest
import strict_cupy
from mpi_program import command, environment, needs_mpi
from strict_cupy import ledger, nccl

from minivae.parallel import mpi
from minivae.parallel.collectives import OnHost, ThroughHost
from minivae.parallel.nccl import Nccl


class Echo:
    """Two processes on two machines, both of which have the same to say."""

    rank, size, local_size = 0, 2, 1

    def sum(self, array):
        array *= 2

    def gather(self, array, into):
        into[...] = array

    def exchange(self, value):
        return [value, value]

    def broadcast(self, value):
        return value


@pytest.fixture
def alone(monkeypatch):
    """NCCL's communicator has this process alone."""
    class One:
        rank, size = 0, 1

        def Dup(self):      # noqa: N802  (MPI's name)
            return self

        def allgather(self, value):
            return [value]

    one = type("World", (Echo,), {"size": 1})()
    module = pytest.importorskip("mpi4py.MPI")
    monkeypatch.setattr(module, "COMM_WORLD", One())
    return one


def test_on_the_host(device, rng):
    """Arrays of a CPU go where they lie, those of a GPU by copies."""
    ways = OnHost(Echo(), device) if not device.cuda else ThroughHost(Echo(), device, "a reason")
    x = rng.standard_normal((3, 4)).astype(np.float32)
    array = device.from_host(x)
    found = ways.gather(array)
    ways.sum(array)
    np.testing.assert_array_equal(device.to_host(array), 2 * x)
    np.testing.assert_array_equal(device.to_host(found), np.stack([x, x]))
    assert device.owns(found) and ways.words.startswith("MPI")


def test_arrays_that_are_not_contiguous_are_refused(cpu):
    with pytest.raises(ValueError, match=r"shape \(2, 4\) and strides \(64, 8\) is not C-contiguous"):
        OnHost(Echo(), cpu).sum(np.zeros((4, 4), np.float64)[::2])


def test_without_nccl_it_is_said(simt, monkeypatch):
    """All take the way through the host, and the words name the fix."""
    monkeypatch.setattr(nccl, "available", False)
    ways = simt.collectives(Echo())
    assert isinstance(ways, ThroughHost) and "NCCL is missing" in ways.words and "install nvidia-nccl-cu1" in ways.words


def test_nccl_queues_and_waits_for_nothing(simt, alone, rng):
    """One collective each, nothing copied to the host; float32 and float64; the order among kernels is kept."""
    ways = simt.collectives(alone)
    assert isinstance(ways, Nccl)
    for dtype in (np.float32, np.float64):
        array = simt.zeros((5, 3), dtype)
        array.fill(2)
        with ledger.counting() as counted:
            ways.sum(array)
            found = ways.gather(array)
        assert counted == {"collective": 2} and found.shape == (1, 5, 3) and found.dtype == dtype
        np.testing.assert_array_equal(simt.to_host(found), np.full((1, 5, 3), 2))


def test_what_nccl_would_not_notice_is_refused(simt, alone):
    """Memory beyond the array, or unwritten; buffers that overlap; a stream that kernels are not on; unknown types."""
    one = nccl.NcclCommunicator(1, nccl.get_unique_id(), 0)
    array, fresh = simt.zeros((8,), np.float32), simt.empty((8,), np.float32)
    at = array.data.ptr
    one.allReduce(at, at, 8, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, 0)
    with pytest.raises(emulator.EmulatorError, match="overlap"):
        one.allReduce(at, at + 4, 7, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, 0)
    with pytest.raises(emulator.EmulatorError, match="on stream 1"):
        one.allReduce(at, at, 8, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, 1)
    with pytest.raises(emulator.EmulatorError):
        one.allReduce(at, at, 8, nccl.NCCL_FLOAT64, nccl.NCCL_SUM, 0)
    with pytest.raises(emulator.EmulatorError, match="nobody has written"):
        one.allReduce(fresh.data.ptr, fresh.data.ptr, 8, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, 0)
    with pytest.raises(nccl.NcclError, match="data type 6"):
        one.allReduce(at, at, 8, 6, nccl.NCCL_SUM, 0)
    with pytest.raises(TypeError, match="commId"):
        nccl.NcclCommunicator(1, "an id", 0)
    with strict_cupy.cuda.Stream(non_blocking=True) as stream:
        one.allReduce(at, at, 8, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, stream.ptr)
        with pytest.raises(emulator.EmulatorError, match="on stream 0"):
            one.allReduce(at, at, 8, nccl.NCCL_FLOAT32, nccl.NCCL_SUM, 0)


@needs_mpi
def test_processes_that_do_not_call_the_same_are_noticed(tmp_path):
    """Another count in one of two: NCCL would wait for ever, or mix up numbers."""
    program = tmp_path / "differ.py"
    program.write_text("""
import strict_cupy
from minivae import device as devices
from minivae.parallel import mpi
devices._import_cupy = lambda: strict_cupy
gpu, world = devices.gpu(0), mpi.world()
mpi.group(world, gpu).sum(gpu.zeros((4 + world.rank,), "float32"))
""")
    done = subprocess.run(command(2, program), env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode and "the processes do not make the same call" in done.stderr


@pytest.mark.parametrize(("mine", "others", "threads"), [
    ({0, 1}, [{0, 1}, {0, 1}], 1), ({2, 3}, [{0, 1}, {2, 3}], 2), (set(range(6)), [set(range(6))] * 3, 2),
    ({0}, [{0}] * 4, 1), ({0, 1, 2, 3}, [{0, 1, 2, 3}, {2, 3}], 3)])
def test_threads_are_a_part_of_the_processors(monkeypatch, mine, others, threads):
    """Those that launchers have bound each process to are its own; those that several may use are shared."""
    monkeypatch.setattr(mpi, "processors", lambda: mine)
    world = object.__new__(mpi.World)
    world._local = type("Local", (), {"allgather": lambda self, one: others})()
    assert world.threads() == threads


WITHOUT = "import sys; sys.modules['mpi4py'] = None; from minivae.cli import main; main()"


@pytest.mark.parametrize("rank", [0, 1])
def test_without_mpi4py_nobody_trains_alone(tmp_path, rank):
    """One of the processes says what to install; the others end in silence."""
    done = subprocess.run([sys.executable, "-P", "-c", WITHOUT, "train", "--device", "cpu"], cwd=tmp_path,
                          capture_output=True, text=True, env=environment(PMI_SIZE="2", PMI_RANK=str(rank)))
    assert done.returncode == 1 and done.stdout == "" and not list(tmp_path.iterdir())
    words = "minivae: 2 processes were started together, but mpi4py does not work"
    assert done.stderr.startswith(words) and "pip install 'minivae[mpi]'" in done.stderr if rank == 0 else done.stderr == ""


@needs_mpi
def test_the_launcher_of_another_mpi_is_noticed(tmp_path):
    """It says that there are two, but mpi4py sees one: each would train alone."""
    done = subprocess.run([sys.executable, "-P", "-m", "minivae", "train", "--device", "cpu"], cwd=tmp_path,
                          capture_output=True, text=True, env=environment(OMPI_COMM_WORLD_SIZE="2"))
    assert done.returncode == 2 and "each sees only itself: mpi4py works with" in done.stderr
    assert not list(tmp_path.iterdir())
