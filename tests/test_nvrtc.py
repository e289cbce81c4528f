"""NVRTC, the compiler that GPU users run, takes every kernel; it needs no GPU and no driver.

CuPy finds the library in the package nvidia-cuda-nvrtc. The options are those that cupy.RawModule would pass
(cupy/cuda/compiler.py) together with ours.
"""

import re

import pytest

from minivae.kernels import REAL_NAMES, cuda_options, signatures, source, stems
from minivae.work import MAX_THREADS

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
REAL_DTYPES = {name: dtype for dtype, name in REAL_NAMES.items()}
STATIC_SHARED = 48 << 10
REGISTERS = 65_536


def compile_kernel(text: str, options: tuple[str, ...]) -> tuple[bytes, str]:
    """(machine code, log) of a source."""
    from cupy.cuda import nvrtc
    program = nvrtc.createProgram(text, "kernel.cu", (), ())
    try:
        nvrtc.compileProgram(program, options)
        return nvrtc.getCUBIN(program), nvrtc.getProgramLog(program)
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    finally:
        nvrtc.destroyProgram(program)


def test_the_real_packages_load():
    """CuPy imports without a driver and finds NVRTC."""
    import cupy
    from cupy.cuda import nvrtc
    assert int(cupy.__version__.split(".")[0]) >= 13
    assert nvrtc.getVersion() >= (12, 8)            # the first to know sm_120


@pytest.mark.parametrize("real", REAL_DTYPES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("stem", stems())
def test_compiles_without_a_word(stem, architecture, real):
    """No warning, no spilled register, no stack; shared memory and registers fit a full block."""
    options = (*cuda_options(REAL_DTYPES[real]), "-ftz=true", f"--gpu-architecture={architecture}",
               "--device-as-default-execution-space", "--ptxas-options=-v")
    code, log = compile_kernel(source(stem), options)
    assert code[:4] == b"\x7fELF"
    assert not re.search(r"\b(warning|error)\b", log), log
    assert set(re.findall(r"(\d+) bytes (?:stack frame|spill stores|spill loads)", log)) == {"0"}, log
    assert max(map(int, re.findall(r"Used (\d+) registers", log))) * MAX_THREADS <= REGISTERS
    assert max([0, *map(int, re.findall(r"(\d+) bytes smem", log))]) <= STATIC_SHARED
    for name in signatures(stem):
        assert name.encode() in code


def test_a_warning_would_be_seen():
    """The check above can fail: an unused variable leaves a warning in the log."""
    _, log = compile_kernel('extern "C" __global__ void k(float* x) { int unused; x[0] = 1.0f; }',
                            ("--std=c++17", "--gpu-architecture=sm_90"))
    assert "warning" in log


def test_hot_kernels_move_sixteen_bytes_at_once():
    """Loads and stores of the update are vectors in the machine-independent code."""
    from cupy.cuda import nvrtc
    program = nvrtc.createProgram(source("optimizer"), "kernel.cu", (), ())
    nvrtc.compileProgram(program, ("--std=c++17", "-DREAL=float", "--gpu-architecture=compute_90"))
    ptx = nvrtc.getPTX(program).decode()
    assert "ld.global.nc.v4.f32" in ptx or "ld.global.v4.f32" in ptx
    assert "st.global.v4.f32" in ptx
