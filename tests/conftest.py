"""What all tests share: one thread a test process, a seeded generator, the devices to run on."""

import os

os.environ.setdefault("MINIVAE_THREADS", "1")     # pytest-xdist already uses every processor

import numpy as np
import pytest

from minivae import device as devices
from minivae.errors import MinivaeError


@pytest.fixture
def rng(request):
    """A generator seeded by the test's name: the same numbers alone, in parallel, in any order, on any device."""
    return np.random.default_rng(list(request.node.name.replace("cuda", "cpu").encode()))


def _gpu_or_reason():
    try:
        return devices.gpu(0), ""
    except MinivaeError as error:
        return None, str(error)


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    """Every device there is: one test body for all of them."""
    if request.param == "cpu":
        return devices.cpu()
    found, reason = _gpu_or_reason()
    if found is None:
        pytest.skip(reason)
    return found


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
