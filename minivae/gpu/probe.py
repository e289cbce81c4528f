"""What can be known of this machine's GPUs, its driver and its CuPy packages without computing anything on them."""

from __future__ import annotations

import csv
import ctypes
import importlib.metadata
import os
import shutil
import subprocess
import sys
from pathlib import Path

from minivae.system import driver_library

TOOLKIT = "/usr/local/cuda"
HEADER = "cuda_fp16.h"      # of CUDA's headers; what CuPy's own kernels include needs this one or its neighbours


def driver_cuda() -> tuple[int, int] | None:
    """The CUDA version (major, minor) that the driver speaks, None without a driver."""
    library, version = driver_library(), ctypes.c_int()
    if library is None or library.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return version.value // 1000, version.value % 1000 // 10


GPU_FIELDS = ("index", "name", "compute_cap", "memory.total", "memory.used", "driver_version")


def gpus() -> list[dict[str, str]]:
    """What nvidia-smi says of each GPU, by GPU_FIELDS; none where it is missing or fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        done = subprocess.run([program, f"--query-gpu={','.join(GPU_FIELDS)}", "--format=csv,noheader"], timeout=20,
                              capture_output=True, text=True, errors="replace", check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    rows = list(csv.reader(done.stdout.splitlines(), skipinitialspace=True)) if done.returncode == 0 else []
    return [dict(zip(GPU_FIELDS, row, strict=True)) for row in rows if len(row) == len(GPU_FIELDS)]


def driver_version() -> str | None:
    """The driver's own version, such as 580.65.06, where a Linux kernel has loaded it."""
    try:
        words = Path("/proc/driver/nvidia/version").read_text().split()
    except OSError:
        return None
    return next((word for word in words if word[:3].isdigit() and "." in word), None)


def on_the_bus() -> int:
    """How many display devices of NVIDIA a Linux kernel has found, with or without a driver."""
    def says(file: Path) -> str:
        try:
            return file.read_text().strip()
        except OSError:
            return ""

    devices = Path("/sys/bus/pci/devices")
    return sum(says(slot / "vendor") == "0x10de" and says(slot / "class").startswith("0x03")
               for slot in (devices.iterdir() if devices.is_dir() else ()))


def cupy_packages() -> list[str]:
    """Names of the installed packages that bring CuPy; only one of them can work."""
    names = {(found.metadata["Name"] or "").lower() for found in importlib.metadata.distributions()}
    return sorted(name for name in names if name == "cupy" or name.startswith(("cupy-cuda", "cupy-rocm")))


def package_version(name: str) -> str | None:
    """The version of an installed package, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def cuda_versions(cupy) -> dict[str, str]:
    """The versions of the parts of CUDA that an imported CuPy works with."""
    def pair(version: int) -> str:
        return f"{version // 1000}.{version % 1000 // 10}"

    runtime = cupy.cuda.runtime
    asked = {"runtime": lambda: pair(runtime.runtimeGetVersion()),
             "NVRTC": lambda: ".".join(map(str, cupy.cuda.nvrtc.getVersion()))}
    said = {}
    for name, ask in asked.items():
        try:
            said[name] = ask()
        except (ImportError, OSError, RuntimeError) as error:     # a library that is not there
            said[name] = f"unknown ({' '.join(str(error).split())})"
    return said


def cupy_cache() -> Path:
    """The folder in which CuPy keeps compiled kernels; CuPy makes it when it is imported."""
    return Path(os.environ.get("CUPY_CACHE_DIR") or "~/.cupy/kernel_cache").expanduser()


def header_folder() -> Path | None:
    """Where CUDA's headers are, among the places that CuPy looks at; None where they are nowhere."""
    places = []
    try:
        from cuda.pathfinder import find_nvidia_header_directory    # what CuPy 14 asks
        places.append(find_nvidia_header_directory("cudart"))
    except (ImportError, OSError, RuntimeError):
        pass
    for entry in sys.path:                                          # the packages that the extra [ctk] brings
        places += sorted(Path(entry or ".", "nvidia").glob("cu[0-9]*/include"))
        places.append(Path(entry or ".", "nvidia", "cuda_runtime", "include"))
    places += [Path(root, "include") for root in (os.environ.get("CUDA_PATH"), TOOLKIT) if root]
    return next((Path(place) for place in places if place and Path(place, HEADER).is_file()), None)


def why_not_writable(folder: Path) -> str | None:
    """Why no file can be made in a folder, which is made where it is missing; None where one can."""
    aside = folder / f".minivae-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(b"x")
        aside.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return None


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder; what cannot be read counts nothing."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_size
            except OSError:
                continue
    return total
