"""What CuPy, the driver and NVRTC say when a GPU does not work: what is wrong then, and what mends it.

The one place for these words: `train --device cuda`, the reason for which `--device auto` takes the CPU, and
`minivae doctor` all take them from here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from minivae.errors import MinivaeError
from minivae.gpu import probe as gpu_probe
from minivae.system import pip

TESTED_FROM = (7, 5)        # the oldest compute capability that the kernels are compiled for in the tests
# By the major version of CUDA: the package of CuPy, and the first driver for it.
PACKAGES = {12: "cupy-cuda12x", 13: "cupy-cuda13x"}
EXTRA = "[ctk]>=14"         # CUDA's libraries and headers; CuPy 14 is the first that brings all of them
DRIVERS = {12: "525", 13: "580"}


class Diagnosis(NamedTuple):
    """A failure that the user can mend.

    Attributes:
        what: is wrong.
        fix: what mends it, after "what: ".
    """

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}: {self.fix}"


def install(upgrade: bool = False) -> str:
    """The command that installs the CuPy that fits the driver, with CUDA's libraries and headers."""
    command = f"{pip()} install{' --upgrade' * upgrade}"
    speaks = gpu_probe.driver_cuda()
    if speaks is None or speaks[0] < min(PACKAGES):
        return f"{command} '{PACKAGES[13]}{EXTRA}' ('{PACKAGES[12]}{EXTRA}' where nvidia-smi shows CUDA 12)"
    return f"{command} '{PACKAGES[min(speaks[0], max(PACKAGES))]}{EXTRA}'"


def install_nccl() -> str:
    """The command that installs NCCL for the CuPy that is there."""
    return f"{pip()} install nvidia-nccl-cu{12 if PACKAGES[12] in gpu_probe.cupy_packages() else 13}"


def no_driver() -> Diagnosis:
    """There is no driver's library."""
    return Diagnosis("no NVIDIA driver", "install NVIDIA's driver until nvidia-smi shows the GPU; in a container, start it "
                     "with --gpus all")


def two_packages(packages: list[str]) -> Diagnosis:
    """Several packages bring CuPy: their files overwrite one another."""
    return Diagnosis(f"several CuPy packages are installed ({', '.join(packages)}), and only one can be",
                     f"{pip()} uninstall {' '.join(packages)}, then {install()}")


def old_gpu(capability: tuple[int, int] | None = None) -> Diagnosis:
    """The GPU is older than what the kernels are compiled for in the tests."""
    which = "the GPU" if capability is None else f"the GPU, of compute capability {capability[0]}.{capability[1]},"
    fix = "take --device cpu"
    if PACKAGES[13] in gpu_probe.cupy_packages():
        fix += (f"; CUDA 13 has dropped such GPUs, CUDA 12 has not: {pip()} uninstall {PACKAGES[13]}, then {pip()} install "
                f"'{PACKAGES[12]}{EXTRA}', untested")
    return Diagnosis(f"{which} is older than what minivae's kernels are tested for, 7.5 (sm_75, Turing) and newer", fix)


def cache_not_writable(why: str) -> Diagnosis:
    """CuPy cannot keep compiled kernels."""
    return Diagnosis(f"CuPy's cache folder {gpu_probe.cupy_cache()} cannot be written ({why})",
                     "set CUPY_CACHE_DIR to a folder that can be written and has room")


def _insufficient_driver(said: str) -> Diagnosis:
    """The runtime's answer both where there is no driver and where it is older than CuPy's CUDA."""
    speaks = gpu_probe.driver_cuda()
    if speaks is None:
        return no_driver()
    packages = gpu_probe.cupy_packages()
    has = f"CUDA {speaks[0]}.{speaks[1]}"
    wants = " and ".join(packages) or "the installed CuPy"
    if speaks[0] in PACKAGES and packages != [PACKAGES[speaks[0]]]:
        return Diagnosis(f"the driver is for {has}, but {wants} for another CUDA version",
                         f"{pip()} uninstall {' '.join(packages) or 'cupy'}, then {install()}; or install driver "
                         f"{DRIVERS[13]} or newer")
    return Diagnosis(f"the driver is for {has}, too old for {wants}",
                     f"install driver {DRIVERS[12]} or newer for CUDA 12, {DRIVERS[13]} for CUDA 13")


def _missing_cupy(said: str) -> Diagnosis:
    return Diagnosis("CuPy is not installed, and a GPU needs it", install())


def _missing_library(said: str) -> Diagnosis:
    name = re.search(r"lib[\w-]+\.so[.\d]*|[\w-]+\.dll", said)
    return Diagnosis(f"CuPy does not find CUDA's library {name[0] if name else ''}".rstrip(" ."),
                     f"{install()}: the extra [ctk] brings CUDA's libraries and headers")


def _missing_header(said: str) -> Diagnosis:
    name = re.search(r'"([^"]+)"', said)
    return Diagnosis(f"NVRTC does not find CUDA's header {name[1] if name else gpu_probe.HEADER}",
                     f"{install()}: the extra [ctk] brings the headers")


def _out_of_memory(said: str) -> Diagnosis:
    return Diagnosis(f"the GPU is out of memory ({said})", "end what else uses it (nvidia-smi shows that), take another "
                     "with --device cuda:N, or a smaller --batch-size, --hidden, --channels, --code or --count")


def _no_gpu(said: str) -> Diagnosis:
    return Diagnosis(f"the driver sees no GPU ({said})", "check with nvidia-smi -L that it is there, and that "
                     "CUDA_VISIBLE_DEVICES is unset or names it")


def _no_image(said: str) -> Diagnosis:
    """No machine code for this GPU: it is older or newer than what CuPy's CUDA knows."""
    said_of_each = (re.fullmatch(r"(\d+)\.(\d+)", gpu["compute_cap"]) for gpu in gpu_probe.gpus())    # or "[N/A]"
    found = [(int(version[1]), int(version[2])) for version in said_of_each if version]
    if found and min(found) >= TESTED_FROM:
        return _new_gpu(said)
    return old_gpu(min(found, default=None))


def _new_gpu(said: str) -> Diagnosis:
    return Diagnosis(f"the GPU or its driver does not take what NVRTC compiled ({said})",
                     f"{install(upgrade=True)}: a newer CuPy and NVRTC know newer GPUs")


def _busy(said: str) -> Diagnosis:
    return Diagnosis(f"the GPU is not to be had ({said})", "see with nvidia-smi what uses it and whether it is in exclusive "
                     "mode, or take another with --device cuda:N")


def _driver_broken(said: str) -> Diagnosis:
    return Diagnosis(f"the NVIDIA driver does not work ({said})", "restart the machine after a driver's update; nvidia-smi "
                     "must show the GPU")


OUT_OF_MEMORY = r"cudaErrorMemoryAllocation|_OUT_OF_MEMORY|[Oo]ut of memory|CUBLAS_STATUS_ALLOC_FAILED"

# What is said, and what it means: the first that is found holds. CUDA's names of errors come through CuPy as they are.
KNOWN = (
    (r"cudaErrorStubLibrary|libcuda\.so|nvcuda\.dll", lambda said: no_driver()),
    (r"cudaErrorInsufficientDriver|CUDA driver version is insufficient|cudaErrorCallRequiresNewerDriver",
     _insufficient_driver),
    (r"cudaErrorNoDevice|CUDA_ERROR_NO_DEVICE|cudaErrorInvalidDevice", _no_gpu),
    (r"invalid value for --gpu-architecture", lambda said: old_gpu()),
    (r"cudaErrorNoKernelImageForDevice|CUDA_ERROR_NO_BINARY_FOR_GPU|CUBLAS_STATUS_ARCH_MISMATCH", _no_image),
    (r"CUDA_ERROR_INVALID_(SOURCE|PTX|IMAGE)|CUDA_ERROR_UNSUPPORTED_PTX_VERSION|cudaErrorUnsupportedPtxVersion", _new_gpu),
    (r"(cannot|could not) open source file", _missing_header),
    (r"No module named 'cupy'", _missing_cupy),
    (r"failed to load \w+|Failure finding|cannot open shared object file|DLL load failed|[Cc]ould not find module|"
     r"nvrtc-builtins", _missing_library),
    (OUT_OF_MEMORY, _out_of_memory),
    (r"cudaErrorDevicesUnavailable|CUDA_ERROR_DEVICE_UNAVAILABLE|cudaErrorDeviceAlreadyInUse", _busy),
    (r"cudaErrorSystem(DriverMismatch|NotReady)|cudaError(InitializationError|Unknown|CompatNotSupportedOnDevice)",
     _driver_broken),
)


def diagnose(error: BaseException) -> Diagnosis:
    """What an error of CuPy, the driver or NVRTC means."""
    lines = [line.strip(" =") for line in str(error).splitlines() if line.strip(" =")] or [type(error).__name__]
    if len(packages := gpu_probe.cupy_packages()) > 1:      # whatever it says, it may come from there
        what, fix = two_packages(packages)
        return Diagnosis(f"{what} ({lines[0]})", fix)
    for pattern, explain in KNOWN:
        for line in lines:      # CuPy puts a page of advice before the cause, NVRTC its warnings
            if re.search(pattern, line):
                return explain(line)
    if isinstance(error, OSError) and error.errno and (why := _cache_trouble(error)):
        return cache_not_writable(why)
    return Diagnosis(f"the GPU does not work ({lines[0]})", "check with nvidia-smi that the driver runs and is new enough "
                     "for the installed CuPy; if so, report it with what minivae doctor prints")


def _cache_trouble(error: OSError) -> str | None:
    """Why CuPy's cache cannot be written, if that is what the error is about."""
    folder = gpu_probe.cupy_cache()
    if str(folder) in str(error.filename):
        return error.strerror
    return gpu_probe.why_not_writable(folder)


class GpuError(MinivaeError):
    """A GPU that does not work; says why, what mends it, and that there is a CPU.

    Attributes:
        diagnosis: the same in two parts.
    """

    def __init__(self, error: BaseException):
        self.diagnosis = diagnose(error)
        super().__init__(f"no working GPU: {self.diagnosis}; or take --device cpu")


def driver_answer(call):
    """The result of a first call to CuPy, the driver or NVRTC.

    Raises:
        GpuError: what went wrong there and what mends it, in one line.
    """
    try:
        return call()
    except Exception as error:      # CuPy raises many kinds here, all of them about the machine
        raise GpuError(error) from error


def gpu_failure(error: Exception) -> GpuError | None:
    """What an error that CuPy raised in the middle of the work means; None for an error of anybody else.

    A GPU works behind the program: what went wrong in a kernel is said by a later launch, product or copy, whichever
    comes next. So it can be told by who raised it, and by nothing else.
    """
    ours = any(kind.__module__.split(".")[0] in ("cupy", "cupy_backends") for kind in type(error).__mro__)
    return GpuError(error) if ours else None


def out_of_memory(error: Exception) -> bool:
    """Whether an error means that the memory of a device, or the host's, was full."""
    return isinstance(error, MemoryError) or (gpu_failure(error) is not None
                                              and re.search(OUT_OF_MEMORY, str(error)) is not None)
