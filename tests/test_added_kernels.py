"""Kernels from outside of minivae: files and text, their headers, files that are edited, and what is refused."""

import numpy as np
import pytest

import minivae as mv
from minivae import kernels
from minivae.errors import MinivaeError

SCALE = """#include "portable.cuh"
extern "C" __global__ void times_number(const real* x, real* y, int64 n, real number) {
  for_elements(n, [&](auto w, int64 i) {
    constexpr int W = decltype(w)::value;
    const In<W> xi(x + i);
    Out<W> yi(y + i);
    LANES(k) yi[k] = FACTOR number * xi[k];
    yi.store();
  });
}
"""


def times(device, number, count=37, dtype=np.float32):
    x = device.from_host(np.arange(count, dtype=dtype))
    y = device.empty(x.shape, dtype)
    mv.launch("times_number", mv.work.elements(count), x, y, count, number)
    return device.to_host(y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_text_that_is_edited(device, dtype):
    """The last text added is what runs, on every device and in both dtypes; all a launch checks is checked."""
    for factor in ("", "2 *", ""):
        assert mv.add_kernels(SCALE.replace("FACTOR", factor)) == ("times_number",)
        np.testing.assert_array_equal(times(device, 3, dtype=dtype), (6 if factor else 3) * np.arange(37, dtype=dtype))
    x = device.zeros((4,), dtype)
    with pytest.raises(TypeError, match=r"times_number takes 4 arguments \(x, y, n, number\), got 3"):
        mv.launch("times_number", mv.work.elements(4), x, x, 4)
    with pytest.raises(TypeError, match="argument y must be"):
        mv.launch("times_number", mv.work.elements(4), x, device.zeros((4,), np.int32), 4, 1.0)


def test_a_file_and_its_headers(device, tmp_path):
    """Headers beside the file come before minivae's; a changed header counts once the file is added anew; the parameters
    of an edited kernel too."""
    path, header = tmp_path / "my own.cu", tmp_path / "factor.cuh"
    path.write_text('#include "factor.cuh"\n#include "math.cuh"\n' + SCALE.replace("FACTOR", "factor() *"))
    for factor in (2, 5):
        header.write_text(f'#pragma once\n#include "portable.cuh"\nDEVICE real factor() {{ return {factor}; }}\n')
        mv.add_kernels(path if factor == 2 else str(path))
        np.testing.assert_array_equal(times(device, 3), 3 * factor * np.arange(37, dtype=np.float32))
    path.write_text(SCALE.replace("FACTOR", "").replace("real number", "int number"))
    mv.add_kernels(path)
    np.testing.assert_array_equal(times(device, 3), 3 * np.arange(37, dtype=np.float32))
    with pytest.raises(ValueError, match=r"number = 0\.5 does not fit int32"):
        times(device, 0.5)


def test_what_is_forgotten():
    """Files that have a kernel of the same name, whole, and no others; minivae's own files are not among them."""
    own, one = kernels.stems(), SCALE.replace("FACTOR", "")
    other = one.replace("times_number", "times_other")
    mv.add_kernels(one + other)
    assert {p.name for p in kernels.signature_of("times_other")} == {"x", "y", "n", "number"}
    mv.add_kernels(one)
    with pytest.raises(KeyError, match="no kernel 'times_other'"):
        kernels.signature_of("times_other")
    mv.add_kernels(other)
    assert kernels.signature_of("times_number") == kernels.signature_of("times_other")
    assert kernels.stems() == own


@pytest.mark.parametrize(("text", "said"), [
    ("nowhere.cu", "there is no kernel file nowhere.cu"),
    ("int x;\n", 'added.cu has no kernel; one begins with extern "C" __global__ void name'),
    ('\n#include "their.cuh"\n', 'added.cu includes "their.cuh", which is not in '),
    ('\nextern "C" __global__ void f(real* x) {}\n', 'added.cu does not #include "portable.cuh"'),
    (SCALE.replace("times_number", "dropout"), "added.cu has a kernel dropout, and so has minivae: give it another name")])
def test_what_is_refused(text, said):
    with pytest.raises(MinivaeError) as raised:
        mv.add_kernels(text)
    assert said in str(raised.value)


def test_a_type_that_no_launch_can_check():
    with pytest.raises(ValueError, match=r"kernel times_number: cannot read the parameter 'short number'"):
        mv.add_kernels(SCALE.replace("real number", "short number"))


def test_a_fault_names_file_and_line(tmp_path, cpu):
    """What the compiler says of an added file is said in one line, with the file's own line number."""
    path = tmp_path / "faulty.cu"
    path.write_text(SCALE.replace("FACTOR", "nothing *"))
    mv.add_kernels(path)
    with pytest.raises(MinivaeError, match=r"could not compile the kernel file faulty-\w+: faulty\.cu:7:.*nothing"):
        times(cpu, 1)


def test_what_the_package_offers():
    """All that it names is there, and listed; what is not says so."""
    assert all(getattr(mv, name) is not None for name in mv.__all__)
    assert set(mv.__all__) <= set(dir(mv))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mv.nothing  # noqa: B018
