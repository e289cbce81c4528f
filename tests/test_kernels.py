"""The launcher: signatures, checks, grids, compiling."""

import numpy as np
import pytest

from minivae import kernels, sources
from minivae.device import cpu as cpu_device
from minivae.errors import MinivaeError
from minivae.host import compiler
from minivae.kernels import launch
from minivae.system import kernel_folder
from minivae.work import MAX_THREADS, Work, blocks, columns, elements, geometry, rows, slabs


def test_every_kernel_can_be_read():
    """All parameter lists are understood, names are unique, and each file opens with a banner."""
    names = [name for stem in kernels.stems() for name in kernels.signatures(stem)]
    assert len(names) == len(set(names)) > 15
    for stem in kernels.stems():
        text = (kernel_folder() / f"{stem}.cu").read_text()
        assert text.startswith(f"// {stem}.cu - ")
        assert kernels.source(stem).count("__global__ void") == len(kernels.signatures(stem))
        assert '#include "' not in kernels.source(stem)


def test_signature():
    parameters = kernels.signatures("arithmetic")["fill"]
    assert [p.declaration() for p in parameters] == ["const real* x", "real* y", "int64 n", "real scale"]


def test_unreadable_parameters_are_named():
    with pytest.raises(ValueError, match="kernel k: cannot read the parameter 'long n'; types are real, int"):
        sources._parse("k", "const real* x, long n")


@pytest.fixture
def arrays(device):
    return {"a": device.zeros((100,), np.float32), "b": device.zeros((100,), np.float32),
            "y": device.zeros((100,), np.float32)}


def _add(arrays, n=100, **other):
    a = {**arrays, **other}
    launch("add", elements(n), a["a"], a["b"], a["y"], n)


def test_wrong_calls_fail_on_every_device(device, arrays):
    """What CUDA would take in silence and answer with garbage."""
    with pytest.raises(TypeError, match=r"kernel add takes 4 arguments \(a, b, y, n\), got 3"):
        launch("add", elements(100), arrays["a"], arrays["b"], arrays["y"])
    with pytest.raises(TypeError, match="argument b must be float32, got float64"):
        _add(arrays, b=device.zeros((100,), np.float64))
    with pytest.raises(TypeError, match="argument b must be float32, got int32"):
        _add(arrays, b=device.zeros((100,), np.int32))
    with pytest.raises(TypeError, match="argument y must be an array on"):
        _add(arrays, y=3.0)
    with pytest.raises(ValueError, match=r"argument b of shape \(100,\) is not C-contiguous"):
        _add(arrays, b=device.zeros((200,), np.float32)[::2])
    with pytest.raises(ValueError, match="argument b begins at an address that is no multiple of 16"):
        _add(arrays, b=device.zeros((101,), np.float32)[1:])
    with pytest.raises(ValueError, match=r"argument b of shape \(0,\) is empty"):
        _add(arrays, b=device.zeros((0,), np.float32))
    with pytest.raises(KeyError, match="no kernel 'subtract'"):
        launch("subtract", elements(100), arrays["a"], arrays["b"], arrays["y"], 100)
    with pytest.raises(TypeError, match="no array among the arguments"):
        launch("add", elements(1), 1, 2, 3, 4)


def test_scalars_must_fit_their_declared_type(device, arrays):
    example = device.zeros((4,), np.int32)
    images, x = device.zeros((4, 4), np.uint8), device.zeros((4, 4), np.float32)

    def gather(rows_=4, pixels=4, seed=0):
        launch("gather_batch", rows(4, 4), images, x, example, 4, rows_, pixels, 0, 0, seed, 0, 0, 0, 0, 0, 0, 0)

    gather(seed=2**64 - 1)
    for bad in ({"seed": 2**64}, {"seed": -1}, {"pixels": 2**31}, {"pixels": 2.5}):
        with pytest.raises(ValueError, match=f"argument {next(iter(bad))} = .* does not fit"):
            gather(**bad)
    for bad in (None, "4", float("nan")):
        with pytest.raises((TypeError, ValueError), match="kernel gather_batch: argument pixels "):
            gather(pixels=bad)


def test_a_refusal_without_a_reason_is_no_silence(device, arrays, monkeypatch):
    """Where the quick checks refuse what the slow ones let pass, nothing has run: that must not go unnoticed."""
    _add(arrays)
    monkeypatch.setattr(device.kernels["add", np.dtype(np.float32)], "launch", lambda *args: False)
    monkeypatch.setattr(kernels, "_latest", {})     # the short way holds the launch that was there before
    with pytest.raises(RuntimeError, match="kernel add: its arguments were refused"):
        _add(arrays)


def test_read_only_output_is_refused(cpu):
    y = cpu.zeros((100,), np.float32)
    y.flags.writeable = False
    with pytest.raises(ValueError, match="argument y is written to, but the array is read-only"):
        _add({"a": np.zeros(100, np.float32), "b": np.zeros(100, np.float32), "y": y})


def test_nothing_is_launched_for_nothing(device):
    """Work of size 0 returns at once, before CuPy could turn a grid of 0 into 1 block on a null pointer."""
    empty = device.zeros((0,), np.float32)
    launch("add", elements(0), empty, empty, empty, 0)


WORKS = [elements(1), elements(5), elements(10**9), rows(1, 1), rows(10**7, 784), rows(3, 10**6), blocks(256),
         columns(1, 64), columns(10, 1), columns(784, 16), columns(10**6, 64)]


@pytest.mark.parametrize("cuda", [False, True])
@pytest.mark.parametrize("itemsize", [4, 8])
@pytest.mark.parametrize("work", WORKS, ids=str)
def test_grids_keep_within_cudas_limits(work: Work, cuda, itemsize):
    """Blocks of at most 256 threads, whole warps or a power of two; grids within the limits; one thread a
    block on a CPU."""
    (gx, gy), (bx, by) = geometry(work, cuda, itemsize)
    assert 1 <= gx < 2**31 and 1 <= gy <= 65535
    threads = bx * by
    assert threads & (threads - 1) == 0 and by & (by - 1) == 0
    assert threads <= MAX_THREADS if cuda else threads == 1


@pytest.mark.parametrize(("count", "width"), [(1, 1), (100, 512), (1000, 784), (100_352, 64), (10**6, 3), (7, 10**5)])
def test_slabs_depend_on_the_shape_alone(count, width, threads):
    """The order of every sum is the same for any number of threads, and no slab is empty."""
    cpu, found = cpu_device(), set()
    for number in (1, 2, 7):
        threads(number)
        found.add(slabs(cpu, count, width))
    assert len(found) == 1 and 0 <= found.pop() <= count

    class Gpu:
        cuda = True

    assert 0 <= slabs(Gpu, count, width) <= min(count, 65535)


def test_compiled_kernels_are_cached(tmp_path, monkeypatch):
    """The second build finds the first; other source, flags or compiler make another; nothing is left beside."""
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path))
    source = 'extern "C" int answer() { return ANSWER; }'
    path = compiler.build("answer", source, ("ANSWER=42",))
    made = path.stat().st_mtime_ns
    assert compiler.load(path).answer() == 42
    assert compiler.build("answer", source, ("ANSWER=42",)) == path and path.stat().st_mtime_ns == made
    assert compiler.build("answer", source, ("ANSWER=43",)) != path
    assert compiler.path_of("answer", source + " ", ("ANSWER=42",)) != path
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".so", ".so"]


def test_a_damaged_library_is_deleted_and_said(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path))
    path = tmp_path / "broken.so"
    path.write_bytes(b"\x7fELF")
    with pytest.raises(MinivaeError, match="was deleted .*start again to build it anew"):
        compiler.load(path)
    assert not path.exists()


def test_compiler_errors_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path))
    with pytest.raises(MinivaeError, match="could not compile the kernel file bad: .*error.*whole log: .*C\\+\\+17") as caught:
        compiler.build("bad", "this is no C++")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*.so"))


def test_no_compiler(tmp_path, monkeypatch):
    """With neither a GPU nor a compiler there is one clear error that names the fix."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiler.find.cache_clear()
    with pytest.raises(MinivaeError, match="CXX=no-such-compiler names no program.*apt install g\\+\\+"):
        compiler.require()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    compiler.find.cache_clear()
    with pytest.raises(MinivaeError, match="no C\\+\\+ compiler found.*set CXX"):
        compiler.require()
    monkeypatch.undo()
    compiler.find.cache_clear()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINIVAE_CACHE", str(tmp_path / "file"))
    with pytest.raises(MinivaeError, match="set MINIVAE_CACHE to a folder that can be written"):
        compiler.build("x", "")


def test_several_builds_are_prepared_at_once(cpu, monkeypatch, tmp_path):
    """float32 and float64 are one piece of work: every file of both, and one line that says how many."""
    said, made = [], []
    monkeypatch.setattr(kernels.compiler, "path_of", lambda *_: tmp_path / "missing.so")
    monkeypatch.setattr(kernels.compiler, "say_once", said.append)
    monkeypatch.setattr(kernels, "_host_library", lambda *job: made.append(job))
    kernels.prepare(cpu, np.float32, np.float64)
    stems = kernels.stems()
    assert len(made) == 2 * len(stems) and set(made) == {(s, np.dtype(d)) for s in stems for d in (np.float32, np.float64)}
    assert said == [f"compiling {2 * len(stems)} kernel files for this processor (float32 and float64), once ..."]
