"""What CuPy, the driver and NVRTC say, and the fix that is named for it. The quoted messages are theirs."""

import importlib.metadata
import re
import warnings

import pytest

from minivae import device as devices
from minivae import system
from minivae.doctor import CUPY_TWICE
from minivae.errors import MinivaeError
from minivae.gpu import errors as gpu_errors
from minivae.gpu import probe as gpu_probe
from minivae.gpu.errors import GpuError, diagnose, out_of_memory

NO_CUPY = ModuleNotFoundError("No module named 'cupy'")
TOO_OLD = RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")
PAGE = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX or cupy-rocm-X-X), make sure that the package matches with the version of \
CUDA or ROCm installed.

On Linux, you may need to set LD_LIBRARY_PATH environment variable depending on how you installed CUDA/ROCm.

Original error:
  ImportError: libcudart.so.12: cannot open shared object file: No such file or directory
================================================================
"""
HEADER = """/env/cupy/_core/include/cupy/float16.cuh(19): catastrophic error: cannot open source file "cuda_fp16.h"
  #include <cuda_fp16.h>

1 catastrophic error detected in the compilation of "/tmp/k.cu".
Compilation terminated.
"""


@pytest.fixture
def machine(monkeypatch):
    """Sets what the probes say: the driver's CUDA version, the CuPy packages and the GPUs' compute capabilities."""
    def set_machine(driver=(13, 0), packages=("cupy-cuda13x",), capabilities=("9.0",)):
        monkeypatch.setattr(gpu_probe, "driver_cuda", lambda: driver)
        monkeypatch.setattr(gpu_probe, "cupy_packages", lambda: list(packages))
        monkeypatch.setattr(gpu_probe, "gpus", lambda: [{"compute_cap": c} for c in capabilities])
        monkeypatch.setattr(gpu_errors, "pip", lambda: "pip")

    set_machine()
    return set_machine


MESSAGES = [  # the machine, what is raised, what it means and what mends it
    ({"driver": None}, TOO_OLD, "no NVIDIA driver: install NVIDIA's driver .* --gpus all"),
    ({}, RuntimeError("cudaErrorStubLibrary: CUDA driver is a stub library"), "no NVIDIA driver: install"),
    ({}, ImportError("libcuda.so.1: cannot open shared object file: No such file or directory"),
     "no NVIDIA driver: install"),
    ({"driver": (12, 4)}, TOO_OLD, r"driver is for CUDA 12.4, but cupy-cuda13x for another CUDA version: pip uninstall "
     r"cupy-cuda13x, then pip install 'cupy-cuda12x\[ctk\]>=14'; or install driver 580"),
    ({"driver": (11, 8), "packages": ["cupy-cuda12x"]}, TOO_OLD, "for CUDA 11.8, too old for cupy-cuda12x: .*525 or newer"),
    ({"packages": []}, NO_CUPY,
     r"CuPy is not installed, and a GPU needs it: pip install 'cupy-cuda13x\[ctk\]>=14'"),
    ({"packages": [], "driver": (12, 2)}, NO_CUPY, r"pip install 'cupy-cuda12x\[ctk\]>=14'"),
    ({"packages": [], "driver": (14, 1)}, NO_CUPY, r"pip install 'cupy-cuda13x\[ctk\]>=14'"),
    ({"packages": [], "driver": None}, NO_CUPY,
     r"pip install 'cupy-cuda13x\[ctk\]>=14' \('cupy-cuda12x\[ctk\]>=14' where nvidia-smi shows CUDA 12"),
    ({"packages": ["cupy-cuda12x", "cupy-cuda13x"]}, TOO_OLD,
     r"several CuPy packages are installed \(cupy-cuda12x, cupy-cuda13x.*: pip uninstall cupy-cuda12x "
     r"cupy-cuda13x, then pip install 'cupy-cuda13x\[ctk\]>=14'"),
    ({}, Exception(HEADER), r"NVRTC does not find CUDA's header cuda_fp16.h: pip install 'cupy-cuda13x\[ctk\]>=14': the extra"),
    ({}, Exception('k.cu(7): warning #177-D: unused\n'
                   'carray.cuh(11): catastrophic error: cannot open source file "vector_types.h"'),
     r"header vector_types.h: .*\[ctk\]"),
    ({}, RuntimeError("CuPy failed to load libnvrtc.so.13: OSError: libnvrtc.so.13: cannot open shared object file: No such "
                      "file or directory"),
     r"does not find CUDA's library libnvrtc.so.13: pip install 'cupy-cuda13x\[ctk\]>=14': the extra \[ctk\] brings"),
    ({}, ImportError("libcublas.so.13: cannot open shared object file: No such file or directory"),
     r"libcublas.so.13: .*\[ctk\]"),
    ({}, ImportError('Failure finding "libcublasLt.so.13 or libcublasLt.so.12": No such file: libcublasLt.so.13\n  '
                     'listdir("/x/lib"):\n    libnvrtc-builtins.so.13.5'), r"library libcublasLt.so.13: .*\[ctk\]"),
    ({"driver": (12, 9)}, ImportError(PAGE), r"library libcudart.so.12: pip install 'cupy-cuda12x\[ctk\]>=14'"),
    ({}, Exception("nvrtc: error: failed to open libnvrtc-builtins.so.13.0.\n  Make sure that it is installed correctly."),
     r"library libnvrtc-builtins.so.13.0: .*\[ctk\]"),
    ({}, RuntimeError("CuPy failed to load nvrtc64_120_0.dll: FileNotFoundError: Could not find module "
                      "'nvrtc64_120_0.dll' (or one of its dependencies)."),
     r"library nvrtc64_120_0.dll: .*\[ctk\]"),
    ({}, Exception("nvrtc: error: invalid value for --gpu-architecture (-arch)"),
     r"older than what minivae's kernels are tested for, 7.5 \(sm_75.*--device cpu; CUDA 13 has dropped.*"
     r"'cupy-cuda12x\[ctk\]>=14'"),
    ({"capabilities": ["6.1"], "packages": ["cupy-cuda12x"]},
     RuntimeError("cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device"),
     "compute capability 6.1, is older than .*sm_75.*: take --device cpu$"),
    ({"capabilities": ["[N/A]"]}, RuntimeError("cudaErrorNoKernelImageForDevice: no kernel image is available"),
     "^the GPU is older than .*sm_75"),
    ({"capabilities": ["12.1"]}, RuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available for execution"),
     r"pip install --upgrade 'cupy-cuda13x\[ctk\]>=14': a newer CuPy and NVRTC know newer GPUs"),
    ({}, RuntimeError("CUDA_ERROR_INVALID_SOURCE: device kernel image is invalid"), "install --upgrade"),
    ({}, RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected"), "nvidia-smi -L.*CUDA_VISIBLE_DEVICES"),
    ({}, RuntimeError("cudaErrorMemoryAllocation: out of memory"), "out of memory .*: end what else uses it .*--batch-size"),
    ({}, MemoryError("Out of memory allocating 1,000 bytes (allocated so far: 500 bytes)."),
     "out of memory .*smaller --batch-size, --hidden, --channels, --code or --count"),
    ({}, RuntimeError("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable"), "exclusive mode"),
    ({}, RuntimeError("cudaErrorSystemDriverMismatch: system has unsupported display driver / cuda driver combination"),
     "restart the machine"),
    ({}, RuntimeError("cudaErrorSomethingNew: never heard of\nmore"),
     r"the GPU does not work \(cudaErrorSomethingNew: never heard of\): check with nvidia-smi .*minivae doctor"),
    ({}, RuntimeError(), r"the GPU does not work \(RuntimeError\)"),
]


@pytest.mark.parametrize(("given", "error", "words"), MESSAGES, ids=lambda v: re.sub(r"\W+", "-", str(v))[:40])
def test_the_fix_for_each_failure(machine, given, error, words):
    """In one line, the same for whoever asks, and with the CPU as the way out."""
    machine(**given)
    assert re.search(words, str(diagnose(error))), str(diagnose(error))
    whole = str(GpuError(error))
    assert whole.startswith("no working GPU: ") and whole.endswith("or take --device cpu") and "\n" not in whole
    with pytest.raises(MinivaeError) as caught:
        devices.driver_answer(lambda: (_ for _ in ()).throw(error))
    assert str(caught.value) == whole


def test_a_cache_of_cupys_that_cannot_be_written(machine, monkeypatch, tmp_path):
    """CuPy makes the folder when it is imported, and writes there when it compiles."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path / "file" / "cache"))
    words = r"CuPy's cache folder .*file/cache cannot be written \(Not a directory\): set CUPY_CACHE_DIR to a folder"
    for error in (NotADirectoryError(20, "Not a directory", "elsewhere"), PermissionError(13, "Permission denied")):
        assert re.search(words, str(diagnose(error)))
    monkeypatch.setenv("CUPY_CACHE_DIR", str(tmp_path))
    full = OSError(28, "No space left on device", str(tmp_path / "x.cubin"))
    assert f"{tmp_path} cannot be written (No space left on device)" in str(diagnose(full))
    assert "the GPU does not work" in str(diagnose(OSError(28, "No space left on device", "/elsewhere")))


def test_pip_is_the_running_pythons(monkeypatch):
    monkeypatch.setattr(system.sys, "executable", "/env/bin/python")
    monkeypatch.setattr(system.shutil, "which", lambda name: "/env/bin/pip")
    assert system.pip() == "pip"
    for other in ("/usr/bin/pip", None):
        monkeypatch.setattr(system.shutil, "which", lambda name, other=other: other)
        assert system.pip() == "/env/bin/python -m pip"


# ---- against the real CuPy and NVRTC, which need no GPU for these ----

def _nvrtc_says(source: str, *options: str) -> Exception:
    from cupy.cuda.compiler import CompileException, _NVRTCProgram
    with pytest.raises(CompileException) as caught:
        _NVRTCProgram(source, "/tmp/k.cu").compile(options)
    return caught.value


def test_what_nvrtc_really_says(machine):
    """A header that is not there, and an architecture that is too old for CUDA 13."""
    from cupy.cuda import nvrtc
    assert "does not find CUDA's header cuda_fp16.h" in str(diagnose(_nvrtc_says("#include <cuda_fp16.h>", "-arch=sm_90")))
    if nvrtc.getVersion() >= (13, 0):
        error = _nvrtc_says('extern "C" __global__ void k() {}', "-arch=sm_61")
        assert "tested for, 7.5 (sm_75" in str(diagnose(error))


def test_cupys_own_errors_are_known(machine):
    from cupy.cuda.memory import OutOfMemoryError
    assert "out of memory" in str(diagnose(OutOfMemoryError(10**9, 5 * 10**8)))


def test_cupys_warning_of_two_packages_is_the_one_we_replace(monkeypatch):
    from cupy import _environment
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: name)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        _environment._detect_duplicate_installation()
        assert "multiple CuPy packages are installed" in str(said[-1].message)
        warnings.filterwarnings("ignore", CUPY_TWICE)
        count = len(said)
        _environment._detect_duplicate_installation()
        assert len(said) == count


def test_what_means_that_memory_is_full():
    """Of the host, of CuPy's pool, of the driver; not an error of anybody else who speaks of memory."""
    from cupy.cuda.memory import OutOfMemoryError
    from cupy_backends.cuda.api.runtime import CUDARuntimeError

    class Driver(CUDARuntimeError):     # the real one asks the driver for its text
        def __init__(self, text):
            RuntimeError.__init__(self, text)

    assert out_of_memory(MemoryError()) and out_of_memory(OutOfMemoryError(10**9, 5 * 10**8))
    assert out_of_memory(Driver("cudaErrorMemoryAllocation: out of memory"))
    assert not out_of_memory(Driver("cudaErrorLaunchFailure: unspecified launch failure"))
    assert not out_of_memory(RuntimeError("out of memory"))
