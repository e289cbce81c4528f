"""The thread pool of the host: sleep, several callers, changes of size, fork."""

import os
import threading
import time

import numpy as np
import pytest

from minivae import device as devices


@pytest.fixture
def pooled():
    """A CPU device with three threads, whatever the tests' own number."""
    cpu = devices.cpu()
    before, cpu.threads = cpu.threads, 3
    cpu.host.configure(3, 50)       # so few spins that workers sleep between any two launches
    yield cpu
    cpu.threads = before


def _product(cpu, seed, size=200):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal((size, size)).astype(np.float32) for _ in range(2))
    return cpu.matmul(a, b), a @ b


def test_sleepers_wake(pooled):
    for seed in range(30):
        time.sleep(0.002)
        np.testing.assert_allclose(*_product(pooled, seed), atol=1e-3)


def test_several_python_threads(pooled):
    """ctypes releases the interpreter lock, so launches meet; each gets its own result."""
    wrong = []

    def work(seed):
        for i in range(20):
            got, expected = _product(pooled, 100 * seed + i)
            if not np.allclose(got, expected, atol=1e-3):
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_a_change_of_size_during_products(pooled):
    """Whoever changes the number of threads while another multiplies spoils nothing."""
    stop, wrong = threading.Event(), []

    def change():
        while not stop.is_set():
            for count in (1, 4, 2):
                pooled.threads = count

    changer = threading.Thread(target=change)
    changer.start()
    for seed in range(200):
        got, expected = _product(pooled, seed, 150)
        wrong += [] if np.allclose(got, expected, atol=1e-3) else [seed]
    stop.set()
    changer.join()
    assert not wrong


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_makes_its_own_pool(pooled):
    np.testing.assert_allclose(*_product(pooled, 1), atol=1e-3)
    child = os.fork()
    if child == 0:
        got, expected = _product(pooled, 2)
        os._exit(0 if np.allclose(got, expected, atol=1e-3) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_more_threads_than_work(pooled):
    pooled.threads = 64
    for shape in ((1, 1, 1), (3, 500, 2), (500, 3, 1), (1, 200, 900)):
        a, b = np.ones(shape[:2], np.float32), np.ones(shape[1:], np.float32)
        np.testing.assert_allclose(pooled.matmul(a, b), a @ b)
