"""What this machine and this installation are like."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import sys
from pathlib import Path

from minivae.errors import UsageError

MOST_THREADS = 256      # beyond this a pool of threads gains nothing


def kernel_folder() -> Path:
    """The folder of the CUDA sources: inside the installed package, or beside it in a checkout."""
    installed = Path(__file__).parent / "_kernels"
    return installed if installed.is_dir() else Path(__file__).parent.parent / "kernels"


def processors() -> set[int]:
    """The numbers of the processors that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def default_threads() -> int:
    """threads_asked(), else the processors this process may run on.

    Raises:
        UsageError: MINIVAE_THREADS is no number of threads.
    """
    return min(threads_asked() or len(processors()), MOST_THREADS)


def threads_asked() -> int | None:
    """$MINIVAE_THREADS or $OMP_NUM_THREADS, None where neither says a number.

    Raises:
        UsageError: MINIVAE_THREADS is no number of threads.
    """
    asked = os.environ.get("MINIVAE_THREADS", "").strip()
    if asked and not _positive(asked):
        raise UsageError(f"MINIVAE_THREADS is {asked}, but must be a number of threads, 1 or more; unset it for one on each of "
                         f"{len(processors())} processors")
    others = os.environ.get("OMP_NUM_THREADS", "")      # may hold what concerns others only, such as a list
    return int(asked or others) if asked or _positive(others) else None


def _positive(number: str) -> bool:
    return number.isascii() and number.isdigit() and int(number) > 0


def pip() -> str:
    """The command that installs into the Python that runs now."""
    beside = shutil.which("pip")
    same = beside is not None and Path(beside).parent == Path(sys.executable).parent
    return "pip" if same else f"{sys.executable} -m pip"


def driver_library() -> ctypes.CDLL | None:
    """The library of the NVIDIA driver, None where there is none."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def has_nvidia_driver() -> bool:
    """Whether the library of an NVIDIA driver can be loaded."""
    return driver_library() is not None


def processor_name() -> str:
    """The processor's model name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(ln.split(":", 1)[1].strip() for ln in lines if ln.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
