"""What all tests share: one thread a test process, a seeded generator, the devices to run on."""

import os
import re
from contextlib import contextmanager

os.environ.setdefault("MINIVAE_THREADS", "1")     # pytest-xdist already uses every processor

import numpy as np
import pytest

from minivae import data
from minivae import device as devices
from minivae.errors import MinivaeError


@pytest.fixture
def rng(request):
    """A generator seeded by the test's name: the same numbers alone, in parallel, in any order, on any device."""
    return np.random.default_rng(list(re.sub("cuda|simt", "cpu", request.node.name).encode()))


def _fast(name):
    """The CPU, or the GPU where one works."""
    if name == "cpu":
        return devices.cpu()
    try:
        return devices.gpu(0)
    except MinivaeError as error:
        pytest.skip(str(error))


class Emulator(devices.CpuDevice):
    """A CPU whose kernels run thread by thread, with the GPU's source branches, grids and blocks."""

    name = "simt"
    emulates = True

    @contextmanager
    def running(self, on: bool = True):
        """Within this context NumPy arrays count as this device's."""
        with pytest.MonkeyPatch.context() as patch:
            if on:
                patch.setattr(devices, "cpu", lambda: self)
            yield self


_emulator = Emulator()


@pytest.fixture
def emulator():
    return _emulator


@pytest.fixture(params=["cpu", "simt", "cuda"])
def device(request):
    """Every device there is, and the emulator: one test body for all of them."""
    if request.param == "simt":
        with _emulator.running():
            yield _emulator
    else:
        yield _fast(request.param)


@pytest.fixture(params=["cpu", "cuda"])
def fast_device(request):
    """The devices that are fast enough for whole trainings."""
    return _fast(request.param)


@pytest.fixture(scope="session")
def few_digits():
    """64 of the digits to train on, 8 to test with."""
    whole = data.load("digits")
    return data.Dataset("digits", whole.train_images[:64], whole.train_labels[:64], whole.test_images[:8],
                        whole.test_labels[:8])


@pytest.fixture
def cpu():
    return devices.cpu()


@pytest.fixture
def threads(cpu):
    """Sets the CPU's number of threads; the old number comes back after the test."""
    before = cpu.threads

    def set_threads(count):
        cpu.threads = count

    yield set_threads
    cpu.threads = before


@pytest.fixture(params=[False, True], ids=["whole", "pieces"])
def pieces(request, device, monkeypatch):
    """With the columns of the whole batch at once, and of four images at a time."""
    if request.param:
        monkeypatch.setattr(type(device), "column_bytes", 1)
