"""cupy.cuda: devices, events and streams; all work is done at once, in the order in which it is asked for."""

from __future__ import annotations

import time
from types import SimpleNamespace

import strict_cupy
from cupy.cuda import nvrtc
from cupy.cuda.runtime import CUDARuntimeError, runtimeGetVersion

# What CuPy has too; NVRTC is the real one.
__all__ = ["Device", "Event", "Graph", "Stream", "get_current_stream", "get_elapsed_time", "nvrtc", "runtime"]

BYTES = 8 << 30         # that each has
COUNT = 2               # GPUs that there seem to be
NOT_READY, INVALID_HANDLE, INVALID_DEVICE, CAPTURE_UNSUPPORTED = 600, 400, 101, 900     # cudaError_t
NAME = b"stand-in for a GPU"

_current = 0


def current_device() -> int:
    """The number of the device in use."""
    return _current


class Device:
    """A GPU."""

    def __init__(self, device=None):
        self.id = _current if device is None else int(device)

    def use(self) -> None:
        global _current
        if not 0 <= self.id < COUNT:
            raise CUDARuntimeError(INVALID_DEVICE)
        _current = self.id


class Graph:
    """What was asked for while a stream was captured."""

    def __init__(self, calls: list):
        self._calls = calls

    def launch(self, stream=None) -> None:
        for call in self._calls:
            call()


class Stream:
    """A stream. While one is captured nothing runs, and CuPy refuses all library products."""

    def __init__(self, null=False, non_blocking=False):
        self._null = null
        self.ptr = 0 if null else id(self)
        self.captured: list | None = None

    def begin_capture(self, mode=None) -> None:
        if self._null:      # the default stream cannot be captured
            raise CUDARuntimeError(CAPTURE_UNSUPPORTED)
        self.captured = []

    def end_capture(self) -> Graph:
        graph, self.captured = Graph(self.captured), None
        return graph

    def is_capturing(self) -> bool:
        return self.captured is not None

    def __enter__(self):
        _streams.append(self)
        return self

    def __exit__(self, *args) -> None:
        _streams.pop()


_streams = [Stream(null=True)]


def get_current_stream(device_id=-1) -> Stream:
    return _streams[-1]


def run(call) -> None:
    """Do work on the current stream, or keep it in the graph that is being captured."""
    stream = get_current_stream()
    if stream.is_capturing():
        stream.captured.append(call)
    else:
        call()


def require_no_capture() -> None:
    """What waits for the GPU cannot be captured.

    Raises:
        CUDARuntimeError: the current stream is being captured.
    """
    if get_current_stream().is_capturing():
        raise CUDARuntimeError(CAPTURE_UNSUPPORTED)


def clock() -> float:
    """The GPU's clock, in ms; tests put another in its place."""
    return time.perf_counter() * 1e3


class Event:
    """A point in a stream; how much time passed between two is told only once the second has been waited for."""

    _recorded: list[Event] = []

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self._at, self._done = None, True

    @property
    def done(self) -> bool:
        return self._done

    def record(self, stream=None) -> None:
        if stream is not None and not isinstance(stream, Stream):
            raise TypeError(f"expected a stream, got {type(stream).__name__}")
        if self in Event._recorded:
            Event._recorded.remove(self)
        self._at, self._done = clock(), False
        Event._recorded.append(self)

    def synchronize(self) -> None:
        while not self._done:       # with it all that came before
            Event._recorded.pop(0)._done = True


def get_elapsed_time(start_event, end_event) -> float:
    if start_event._at is None or end_event._at is None:
        raise CUDARuntimeError(INVALID_HANDLE)
    if not (start_event._done and end_event._done):
        raise CUDARuntimeError(NOT_READY)
    return end_event._at - start_event._at


def _get_device_count() -> int:
    return COUNT


def _get_device_properties(device) -> dict:
    if not 0 <= device < COUNT:
        raise CUDARuntimeError(INVALID_DEVICE)
    return {"name": NAME, "major": 9, "minor": 0}


def _mem_get_info() -> tuple[int, int]:
    """(free, all) bytes of the current device, of which only what the memory pool holds is taken."""
    return BYTES - strict_cupy.get_default_memory_pool().total_bytes(), BYTES


runtime = SimpleNamespace(getDeviceCount=_get_device_count, getDeviceProperties=_get_device_properties,
                          memGetInfo=_mem_get_info, runtimeGetVersion=runtimeGetVersion)
