"""Devices: selection, arrays, descriptions."""

import numpy as np
import pytest

from minivae import device as devices
from minivae.errors import MinivaeError, UsageError
from minivae.host import pool


def test_address_is_numpys_own(rng):
    for array in (np.zeros(3), np.zeros((4, 5), np.float32)[1:, ::2], rng.random((7, 7)).T, np.zeros((), np.uint8)):
        assert pool.address(array) == array.ctypes.data


def test_selection(monkeypatch):
    assert devices.select("cpu") == (devices.cpu(), "as asked")
    found, why = devices.select("auto")
    assert found.name == "cpu" or found.name == "cuda:0"
    assert why
    monkeypatch.setattr(devices, "has_nvidia_driver", lambda: False)
    assert devices.select("auto") == (devices.cpu(), "no NVIDIA driver")
    for bad in ("tpu", "cuda:x", "cuda:-1", "", "CPU"):
        with pytest.raises(UsageError, match="take auto, cpu, cuda or cuda:N"):
            devices.select(bad)


def test_a_gpu_that_is_not_there_is_one_line():
    """A number beyond what there is, or no GPU at all, names the fix."""
    with pytest.raises(MinivaeError, match="take --device") as caught:
        devices.select("cuda:99")
    assert "\n" not in str(caught.value)


def test_arrays_go_there_and_back(device, rng):
    for array in (rng.random((5, 3)), rng.integers(0, 9, 7).astype(np.int32), np.zeros((0, 3), np.float32), np.array(2.5),
                  rng.random((4, 6)).T, rng.random((4, 6))[1:, ::2]):
        there = device.from_host(array)
        back = device.to_host(there)
        np.testing.assert_array_equal(back, array)
        assert back.dtype == array.dtype and there.shape == array.shape and there.flags.c_contiguous
        assert devices.device_of(there) is device
        assert not np.shares_memory(back, array)
    assert not device.to_host(device.zeros((3, 4), np.float64)).any()


def test_device_of_strangers():
    with pytest.raises(TypeError, match="expected an array on a device, got list"):
        devices.device_of([1, 2])


def test_description_and_threads(cpu, threads, monkeypatch):
    threads(3)
    assert "3 threads" in cpu.describe()
    monkeypatch.setenv("MINIVAE_THREADS", "5")
    assert devices.default_threads() == 5
    for wrong in ("many", "0", "-3", "1.5", "\u0663"):
        monkeypatch.setenv("MINIVAE_THREADS", wrong)
        with pytest.raises(UsageError, match=f"MINIVAE_THREADS is {wrong}, but must be a number of threads, 1 or more"):
            devices.default_threads()
    monkeypatch.setenv("MINIVAE_THREADS", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")        # one for each level of nesting: not for us
    assert devices.default_threads() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert devices.default_threads() == 7


def test_what_is_read_in_place(cpu, tmp_path):
    """What nobody can change: a map or bytes, and views of them; not a view through which alone nothing can be written."""
    array = np.zeros(64, np.uint8)
    view = array[:]
    view.flags.writeable = False
    assert not cpu.reads_in_place(view) and not cpu.reads_in_place(view.view(np.int16)) and not cpu.reads_in_place(array)
    changed = np.frombuffer(memoryview(bytearray(64)), np.uint8)
    changed.flags.writeable = False
    assert not cpu.reads_in_place(changed)
    array.tofile(tmp_path / "x")
    map = np.memmap(tmp_path / "x", np.uint8, "r")
    assert cpu.reads_in_place(map) and cpu.reads_in_place(map.view(np.ndarray)[:32].reshape(4, 8))
    held = cpu.to_read(view)
    array[:] = 1
    assert not held.any()
    array.flags.writeable = False
    assert cpu.reads_in_place(array)
