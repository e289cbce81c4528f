"""What the launcher and the clock hand to CuPy, without a GPU: against a recorder in CuPy's place."""

import types

import numpy as np
import pytest

from minivae import device as devices
from minivae import kernels, timing, trace
from minivae.errors import MinivaeError, UsageError
from minivae.work import columns, elements, rows


class FakeArray:
    """The side of cupy.ndarray that the launcher looks at."""

    def __init__(self, shape, dtype, ptr=512, contiguous=True, device=0):
        self.shape, self.dtype, self.ndim = shape, np.dtype(dtype), len(shape)
        self.size = int(np.prod(shape))
        self.data = types.SimpleNamespace(ptr=ptr)
        self.flags = types.SimpleNamespace(c_contiguous=contiguous)
        self.device = types.SimpleNamespace(id=device)


@pytest.fixture
def launched(monkeypatch):
    """A CUDA device on a stand-in for CuPy; the list of (kernel, grid, block, arguments) that reached it."""
    calls = []

    class RawModule:
        def __init__(self, code, options, backend):
            assert "__global__" in code and backend == "nvrtc" and "--std=c++17" in options

        def get_function(self, name):
            return lambda grid, block, arguments: calls.append((name, grid, block, arguments))

    class Device:
        def __init__(self, index):
            self.index = index

        def use(self):
            calls.append(("use", self.index))

    class Event:
        now = 0.0       # the GPU's clock, in ms

        def record(self, stream):
            assert stream == "current"
            self.at, self.done = self.now, False

        def synchronize(self):
            self.done = True

    def get_elapsed_time(began, ended):
        assert ended.done, "CUDA fails where the second event has not come yet"
        return ended.at - began.at

    cupy = types.SimpleNamespace(
        ndarray=FakeArray, RawModule=RawModule, zeros=lambda *_: np.zeros(4), matmul=np.dot, __version__="14.2.0",
        cuda=types.SimpleNamespace(Device=Device, Event=Event, get_current_stream=lambda: "current",
                                   get_elapsed_time=get_elapsed_time, runtime=types.SimpleNamespace(getDeviceCount=lambda: 2)))
    monkeypatch.setattr(devices, "_import_cupy", lambda: cupy)
    monkeypatch.setattr(devices, "_gpus", {})
    assert devices.select("cuda:1")[0].name == "cuda:1" and calls.pop() == ("use", 1)
    return calls


def _array(*shape, dtype=np.float32, **other):
    return FakeArray(shape, dtype, **{"device": 1, **other})


def test_arguments_have_the_declared_types(launched):
    """Python numbers would go as 8-byte integers and doubles: each is a NumPy scalar of its own type instead."""
    gamma, x = _array(5), _array(100, 5)
    kernels.launch("batch_norm_forward", columns(5, 1), x, x, gamma, gamma, x, gamma, 100, 5, 0, 1e-5, 2, 1)
    name, grid, block, arguments = launched.pop()
    assert name == "batch_norm_forward" and arguments[:6] == (x, x, gamma, gamma, x, gamma)
    expected = [np.int64, np.int32, np.int32, np.float32, np.int32, np.int32]
    assert [type(a) for a in arguments[6:]] == expected and float(arguments[9]) == np.float32(1e-5)
    assert len(grid) == len(block) == 2 and block[0] * block[1] == 256
    kernels.launch("standard_normal", rows(4, 8), _array(4, 8), 4, 8, 2**40, 2**64 - 1, 2**32 - 1, 0)
    assert [type(a) for a in launched.pop()[3][1:]] == [np.int64, np.int32, np.int64, np.uint64, np.uint32, np.uint32]


def test_float64_arrays_take_the_float64_build(launched):
    x = _array(8, dtype=np.float64)
    kernels.launch("fill", elements(8), x, x, 8, 0.5)
    assert type(launched.pop()[3][-1]) is np.float64


def test_nothing_is_launched_for_nothing(launched):
    empty = _array(0)
    kernels.launch("add", elements(0), empty, empty, empty, 0)
    assert launched == []


@pytest.mark.parametrize(("bad", "words"), [
    ({"ptr": 516}, "multiple of 16"), ({"contiguous": False}, "not C-contiguous"), ({"dtype": np.float64}, "must be float32"),
    ({"device": 0}, "must be an array on cuda:1")])
def test_what_cuda_would_not_notice(launched, bad, words):
    with pytest.raises((TypeError, ValueError), match=words):
        kernels.launch("add", elements(8), _array(8), _array(8, **bad), _array(8), 8)
    assert launched == []


def test_a_host_array_among_those_of_a_gpu(launched):
    with pytest.raises(TypeError, match="must be an array on cuda:1, got numpy"):
        kernels.launch("add", elements(8), _array(8), np.zeros(8, np.float32), _array(8), 8)


def test_one_gpu_a_process_and_only_those_there_are(launched, monkeypatch):
    with pytest.raises(UsageError, match="computes on cuda:1 already"):
        devices.gpu(0)
    monkeypatch.setattr(devices, "_gpus", {})
    with pytest.raises(UsageError, match="there is no GPU 2: CUDA sees 2, numbered from 0; take --device cuda:0"):
        devices.gpu(2)


def test_a_gpu_that_fails_when_first_used(launched, monkeypatch):
    """Busy, full, or without headers: auto takes the CPU and says why; asked for by name it is an error."""
    def busy(*_):
        raise RuntimeError("cudaErrorDevicesUnavailable: all CUDA-capable devices are busy\nmore")

    cupy = devices._import_cupy()
    monkeypatch.setattr(devices, "_gpus", {})
    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(cupy.cuda.Device, "use", busy)
    found, why = devices.select("auto")
    assert found is devices.cpu() and "busy" in why and "\n" not in why
    with pytest.raises(MinivaeError, match=r"no working GPU: .*\(cudaErrorDevicesUnavailable.*take --device cpu"):
        devices.select("cuda")


def test_a_gpu_is_timed_by_its_events(launched, monkeypatch):
    """The time between events on the stream, whatever the time that the launches took."""
    device, event = devices.gpu(1), devices._import_cupy().cuda.Event

    def step():
        event.now += 7.5

    monkeypatch.setattr(timing, "PAUSE", 0)
    assert timing.time_part(timing.Part("gpu", step, device=device)).ms == pytest.approx(7.5)


def test_a_trace_puts_events_around_each_launch(launched, monkeypatch):
    device, event, x = devices.gpu(1), devices._import_cupy().cuda.Event, _array(8)
    real = kernels.Kernel.__call__

    def slow(self, *args):
        event.now += 0.25
        real(self, *args)

    monkeypatch.setattr(kernels.Kernel, "__call__", slow)
    with trace.recording(device) as record:
        event.now += 1.0
        kernels.launch("add", elements(8), x, x, x, 8)
        kernels.launch("fill", elements(8), x, x, 8, 0.5)
    assert [call.kernel for call in record.calls] == ["add", "fill"] == [call[0] for call in launched]
    assert [device.milliseconds(call.began, call.ended) for call in record.calls] == [0.25, 0.25]
