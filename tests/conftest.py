"""What all tests share: one thread a test process, a seeded generator, the devices to run on."""

import os
import re
import signal
from contextlib import contextmanager

os.environ.setdefault("MINIVAE_THREADS", "1")     # pytest-xdist already uses every processor

import emulator
import numpy as np
import pytest
import strict_cupy
from browser import chromium, open_page  # noqa: F401
from data_sets import some_digits

from minivae import device as devices
from minivae.errors import MinivaeError

# Started in the background, signals are ignored that end a program: those that tests start must not inherit that.
for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, default)


def seed_of(request) -> list[int]:
    """A test's own seed, from its name: the same alone, in parallel, in any order, on any device."""
    return list(re.sub("cuda|simt", "cpu", request.node.name).encode())


@pytest.fixture
def rng(request):
    """A generator seeded by the test's name."""
    return np.random.default_rng(seed_of(request))


def seed_emulator(request) -> None:
    """The orders of blocks and warps are the test's own too."""
    emulator.seed(int(np.random.default_rng(seed_of(request)).integers(2**62)))


@pytest.fixture
def memory(request):
    """Puts arrays on the emulator's device; all are freed after the test, whose kernels run in an order of its own."""
    seed_emulator(request)
    addresses = []

    def put(array):
        address = emulator.allocate(array.nbytes)
        addresses.append(address)
        emulator.copy_in(address, array)
        return address

    def fresh(nbytes):
        addresses.append(emulator.allocate(nbytes))
        return addresses[-1]

    put.fresh = fresh
    yield put
    for address in addresses:
        emulator.free(address)


def _fast(name):
    """The CPU, or the GPU where one works."""
    if name == "cpu":
        return devices.cpu()
    try:
        return devices.gpu(0)
    except MinivaeError as error:
        pytest.skip(str(error))


_stand_ins: dict[int, devices.CudaDevice] = {}       # kept, so that kernels are compiled once a process


@contextmanager
def standing_in(request):
    """Within this context CuPy is the stand-in (tests/strict_cupy), and the GPU its emulator, in an order that is the
    requesting test's own."""
    seed_emulator(request)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "_import_cupy", lambda: strict_cupy)
        patch.setattr(devices, "_gpus", _stand_ins)
        yield devices.gpu(0)


@pytest.fixture
def simt(request):
    """minivae's GPU device over the stand-in: every thread of every block runs."""
    with standing_in(request) as device:
        yield device


GPU = pytest.param("cuda", marks=pytest.mark.gpu)


@pytest.fixture(params=["cpu", "simt", GPU])
def device(request):
    """Every device there is, and the stand-in for a GPU: one test body for all of them."""
    if request.param == "simt":
        with standing_in(request) as stand_in:
            yield stand_in
    else:
        yield _fast(request.param)


@pytest.fixture(params=["cpu", GPU])
def fast_device(request):
    """The devices that are fast enough for whole trainings."""
    return _fast(request.param)


@pytest.fixture(scope="session")
def few_digits():
    """64 of the digits to train on, 8 to test with."""
    return some_digits(64, 8)


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
