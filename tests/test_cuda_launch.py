"""What the launcher and the clock hand to CuPy, and what they make of a GPU that is missing, busy or full."""

import numpy as np
import pytest
import strict_cupy
from strict_cupy import cuda, ledger

from minivae import device as devices
from minivae import kernels, trace
from minivae.bench import timing
from minivae.errors import MinivaeError, UsageError
from minivae.work import columns, elements, rows


@pytest.fixture
def launched(simt):
    """The launches that reach the driver."""
    with ledger.watching() as seen:
        yield seen


@pytest.fixture
def no_gpu_yet(simt, monkeypatch):
    """A process that has used none of the two GPUs so far; it may take any."""
    monkeypatch.setattr(devices, "_gpus", {})
    monkeypatch.setattr(cuda, "_current", 0)


def _array(device, *shape, dtype=np.float32):
    return device.from_host(np.ones(shape, dtype))


def _sent(*values):
    """Scalars of the declared types as bytes."""
    return tuple(value.tobytes() for value in values)


def test_arguments_have_the_declared_types(simt, launched):
    """Python numbers would go as 8-byte integers and doubles: each is a NumPy scalar of its own type instead."""
    gamma, moments, x, y = _array(simt, 5), _array(simt, 2, 5), _array(simt, 100, 5), _array(simt, 100, 5)
    arrays = (x, moments, gamma, gamma, y, moments)
    kernels.launch("batch_norm_forward", columns(5, 1), *arrays, 100, 5, 0, 1e-5, 2, 0)
    name, grid, block, arguments = launched.pop()
    assert name == "batch_norm_forward" and arguments[:6] == _sent(*(np.uint64(a.data.ptr) for a in arrays))
    assert arguments[6:] == _sent(np.int64(100), np.int32(5), np.int32(0), np.float32(1e-5), np.int32(2), np.int32(0))
    assert block[0] * block[1] == 256 and block[2] == grid[2] == 1
    kernels.launch("standard_normal", rows(4, 8), _array(simt, 4, 8), 4, 8, 2**40, 2**64 - 1, 2**32 - 1, 0)
    assert launched.pop().arguments[1:] == _sent(np.int64(4), np.int32(8), np.int64(2**40), np.uint64(2**64 - 1),
                                                 np.uint32(2**32 - 1), np.uint32(0))


def test_float64_arrays_take_the_float64_build(simt, launched):
    x, y = _array(simt, 1, dtype=np.float64), _array(simt, 8, dtype=np.float64)
    kernels.launch("fill", elements(8), x, y, 8, 0.5)
    assert launched.pop().arguments[-1] == np.float64(0.5).tobytes()
    assert simt.to_host(y).tolist() == [0.5] * 8


def test_nothing_is_launched_for_nothing(simt, launched):
    """CuPy would turn the empty grid into a block, which would run on a null pointer."""
    empty = _array(simt, 0)
    kernels.launch("add", elements(0), empty, empty, empty, 0)
    assert launched == []


@pytest.mark.parametrize(("bad", "words"), [
    (lambda simt: _array(simt, 9)[1:], "multiple of 16"), (lambda simt: _array(simt, 16)[::2], "not C-contiguous"),
    (lambda simt: _array(simt, 8, dtype=np.float64), "must be float32"),
    (lambda simt: np.ones(8, np.float32), "must be an array on cuda:0, got numpy"),
    (lambda simt: _array(simt, 0), "is empty")])
def test_what_cuda_would_not_notice(simt, launched, bad, words):
    with pytest.raises((TypeError, ValueError), match=words):
        kernels.launch("add", elements(8), _array(simt, 8), bad(simt), _array(simt, 8), 8)
    assert launched == []


def test_an_array_of_another_gpu(simt, launched, monkeypatch):
    """A kernel would run, slowly or not at all, on memory that lies elsewhere."""
    here = _array(simt, 8)
    monkeypatch.setattr(cuda, "_current", 1)
    with pytest.raises(TypeError, match="must be an array on cuda:0"):
        kernels.launch("add", elements(8), here, _array(simt, 8), here, 8)
    assert launched == []


def test_one_gpu_a_process_and_only_those_there_are(no_gpu_yet, monkeypatch):
    assert devices.select("cuda:1")[0].name == "cuda:1" and cuda.current_device() == 1
    with pytest.raises(UsageError, match="computes on cuda:1 already"):
        devices.gpu(0)
    monkeypatch.setattr(devices, "_gpus", {})
    with pytest.raises(UsageError, match="there is no GPU 2: CUDA sees 2, numbered from 0; take --device cuda:0"):
        devices.gpu(2)


def test_a_gpu_that_fails_when_first_used(no_gpu_yet, monkeypatch):
    """Busy, full, or without headers: auto takes the CPU and says why; asked for by name it is an error."""
    def busy(*_):
        raise RuntimeError("cudaErrorDevicesUnavailable: all CUDA-capable devices are busy\nmore")

    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(cuda.Device, "use", busy)
    found, why = devices.select("auto")
    assert found is devices.cpu() and "busy" in why and "\n" not in why
    with pytest.raises(MinivaeError, match=r"no working GPU: .*\(cudaErrorDevicesUnavailable.*take --device cpu"):
        devices.select("cuda")


def test_a_library_of_cuda_that_is_missing(no_gpu_yet, monkeypatch):
    """CuPy without its [ctk] extra and without a toolkit has no cuBLAS: said before anything is trained."""
    def missing(*_):
        raise ImportError('Failure finding "libcublasLt.so.13 or libcublasLt.so.12": No such file\nmore')

    monkeypatch.setattr(strict_cupy, "matmul", missing)
    with pytest.raises(MinivaeError, match=r"does not find CUDA's library libcublasLt.so.13: .*\[ctk\]"):
        devices.select("cuda")


def test_auto_takes_a_gpu_that_works(no_gpu_yet, monkeypatch):
    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: True)
    found, why = devices.select("auto")
    assert found.name == "cuda:0" and why == "a GPU works" and cuda.NAME.decode() in found.describe()


@pytest.fixture
def clock(monkeypatch):
    """The GPU's clock, in ms, moved by hand."""
    now = [0.0]
    monkeypatch.setattr(cuda, "clock", lambda: now[0])
    return now


def test_a_gpu_is_timed_by_its_events(simt, clock, monkeypatch):
    """The time between events on the stream, whatever the time that the launches took."""
    def step():
        clock[0] += 7.5

    monkeypatch.setattr(timing, "PAUSE", 0)
    assert timing.time_part(timing.Part("gpu", step, device=simt)).ms == pytest.approx(7.5)


def test_a_trace_puts_events_around_each_launch(simt, launched, clock, monkeypatch):
    x, y, real = _array(simt, 8), _array(simt, 8), kernels.Kernel.run

    def slow(self, *args):
        clock[0] += 0.25
        real(self, *args)

    monkeypatch.setattr(kernels.Kernel, "run", slow)
    with trace.recording(simt) as record:
        clock[0] += 1.0
        kernels.launch("add", elements(8), x, x, y, 8)
        kernels.launch("fill", elements(8), x, y, 8, 0.5)
    assert [call.kernel for call in record.calls] == ["add", "fill"] == [launch.name for launch in launched]
    assert [simt.milliseconds(call.began, call.ended) for call in record.calls] == [0.25, 0.25]
