"""The self-test of `minivae doctor`: it covers every kernel, passes on every device, and catches what is wrong."""

import numpy as np
import pytest

from minivae import kernels
from minivae.device import CpuDevice
from minivae.selftest import case as selftest_case
from minivae.selftest import cases as selftest_cases
from minivae.selftest import run as selftest
from minivae.selftest.run import difference

KERNELS = {name for stem in kernels.stems() for name in kernels.signatures(stem)}


def _run(device, reference):
    return {result.name: result for result in selftest.run(device, reference)}


def test_every_kernel_has_a_case():
    """A new kernel without a case fails here; a case of a kernel that is gone fails too."""
    names = {case.name for case in selftest_cases.cases()}
    assert names & KERNELS == KERNELS
    assert {name.split(",")[0] for name in names - KERNELS} == {"matmul", "copy"}


def test_every_kernel_has_an_odd_shape_and_one_of_whole_packs():
    shapes = {}
    for case in selftest_cases.cases():
        shapes.setdefault(case.name, set()).add(case.shape)
    assert all(len(found) >= 2 for found in shapes.values())


def test_all_is_right(device, cpu):
    """On every device there is, and thread by thread; kernels that only move numbers are exact."""
    results = _run(device, cpu)
    assert not [r for r in results.values() if not r.ok]
    for name in ("philox_words", "im2col", "max_pool", "max_pool_backward", "upsample", "upsample_backward"):
        assert results[name].allowed == results[name].error == 0
    assert all(r.error < 1e-6 for r in results.values())        # a fifth of what is allowed, and less


def test_the_noise_is_the_same_in_both_builds(cpu):
    """It is drawn in float32 in the float64 build too."""
    assert _run(cpu, cpu)["standard_normal"].error == 0


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_a_wrong_kernel_is_caught(cpu, monkeypatch, kernel):
    """One number of one output off by 0.1% of the largest, or one whole number by one: each output in turn."""
    right = selftest_case._launch
    outputs = sum(p.pointer and not p.const for p in kernels.signature_of(kernel))
    for wrong in range(outputs):
        def launch(name, work, arguments, total, device, dtype, wrong=wrong):
            found = right(name, work, arguments, total, device, dtype)
            if name == kernel and dtype is np.float32:
                array = found[wrong]
                array.flat[-1] += 1e-3 * np.abs(array).max() if array.dtype.kind == "f" else 1
            return found

        with monkeypatch.context() as patch:
            patch.setattr(selftest_case, "_launch", launch)
            patch.setattr(selftest, "cases", lambda: (c for c in selftest_cases.cases() if c.name in (kernel, "add", "sum")))
            results = _run(cpu, cpu)
        assert [name for name, result in results.items() if not result.ok] == [kernel]


def test_wrong_products_are_caught(cpu, monkeypatch):
    """A device whose matmul is off by 0.1%: all four kinds of products, and no kernel."""
    right = CpuDevice.matmul

    def matmul(self, a, b, out=None, accumulate=False):
        product = right(self, a, b, out, accumulate)
        if product.dtype == np.float32:
            product *= 1.001
        return product

    monkeypatch.setattr(CpuDevice, "matmul", matmul)
    wrong = [name for name, result in _run(cpu, cpu).items() if not result.ok]
    assert wrong == ["matmul", "matmul, transposed", "matmul, of a batch", "matmul, accumulated"]


def test_what_is_not_written_is_caught(cpu, monkeypatch):
    """A kernel that does nothing leaves the outputs at NaN."""
    right = selftest_case.launch
    monkeypatch.setattr(selftest_case, "launch", lambda name, *args: None if name == "add" else right(name, *args))
    results = _run(cpu, cpu)
    assert results["add"].error == float("inf") and not results["add"].ok and results["fill"].ok


def test_a_kernel_that_raises_leaves_the_others(cpu, monkeypatch):
    right = selftest_case.launch

    def launch(name, *args):
        if name == "adam":
            raise MemoryError("no room\nfor it")
        right(name, *args)

    monkeypatch.setattr(selftest_case, "launch", launch)
    results = _run(cpu, cpu)
    assert [r.name for r in results.values() if not r.ok] == ["adam"] and results["adam"].failure == "no room for it"


def test_differences():
    """Relative to the largest number; whole numbers by the share that differs; never a number where one is not finite."""
    expected = np.array([1.0, -100.0])
    assert difference(expected.astype(np.float32), expected) == 0
    assert difference(np.array([1.1, -100.0]), expected) == pytest.approx(1e-3)
    assert difference(np.array([3, 4], np.int32), np.array([3, 5], np.int32)) == 0.5
    assert difference(np.zeros(2), np.zeros(2)) == 0
    for bad in (np.nan, np.inf):
        assert difference(np.array([bad, -100.0]), expected) == difference(expected, np.array([bad, 1.0])) == float("inf")
    assert difference(np.zeros(3), expected) == difference(np.ones(2), np.zeros(2)) == float("inf")


def test_products_in_tf32_are_allowed_their_rounding(monkeypatch):
    """Only on a GPU, only where CuPy was told so, and only products."""
    class Gpu:
        cuda = True

    matmul, add = (next(c for c in selftest_cases.cases() if c.name == name) for name in ("matmul", "add"))
    monkeypatch.delenv("CUPY_TF32", raising=False)
    assert selftest._allowed(matmul, Gpu) == selftest_case.ROUNDING
    monkeypatch.setenv("CUPY_TF32", "1")
    assert selftest._allowed(matmul, Gpu) == selftest.TF32 and selftest._allowed(add, Gpu) == selftest_case.ROUNDING
    assert selftest._allowed(matmul, CpuDevice) == selftest_case.ROUNDING
