"""What minivae will run on, on this machine, and whether it works: facts, known failures with their fixes, a self-test."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minivae import __version__, kernels
from minivae import device as devices
from minivae.device import Device
from minivae.errors import MinivaeError, UsageError
from minivae.gpu import errors as gpu_errors
from minivae.gpu import probe as gpu_probe
from minivae.host import compiler
from minivae.selftest import run as selftest
from minivae.system import default_threads, has_nvidia_driver, processor_name

CUPY_TWICE = r"\s*-+\s+CuPy may not function correctly"      # how its warning of two packages begins
VARIABLES = ("MINIVAE_", "CUPY_", "CUDA_", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "CXX", "LD_LIBRARY_PATH")


def examine(name: str = "auto") -> dict:
    """Look at everything that minivae needs and run every kernel.

    Args:
        name: the device, as `select` takes it.

    Returns:
        Plain numbers, strings, lists and dicts: "facts" (what to words), "device" and "why" it was taken or none was, "problems"
        (each with its fix), "reference" (what the kernels were compared with), "kernels" (selftest.run.Result and "ok"),
        "verdict" (a line) and "works".

    Raises:
        UsageError: an unknown device, or a GPU's number that is not there.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", CUPY_TWICE)     # said below, with the fix
        device, why, failure = _selected(name)
        gpus = gpu_probe.gpus()
        report = {"minivae": __version__, "facts": facts(device, gpus), "device": device and device.describe(), "why": why}
    report["problems"] = [*([str(failure)] if failure else []), *gpu_problems(name, device, why), *cpu_problems()]
    report |= {"reference": None, "kernels": []}
    if device is not None:
        try:
            report |= _tested(device)
        except MinivaeError as error:
            failure = error
    report["verdict"], report["works"] = verdict(name, report, failure)
    return report


def _selected(name: str) -> tuple[Device | None, str, MinivaeError | None]:
    """The device, why it was taken or there is none, and the error of the latter."""
    try:
        return *devices.select(name), None
    except UsageError:
        raise
    except MinivaeError as error:
        return None, str(error), error


def _tested(device: Device) -> dict:
    reference = devices.cpu()
    if device.cuda and compiler.find() is None:
        reference = device      # minivae runs on a GPU without a compiler: its own float64 build is all there is
    if device is reference:
        kernels.prepare(device, np.float32, np.float64)     # at once, and said once
    else:
        kernels.prepare(device, np.float32)
        kernels.prepare(reference, np.float64)
    results = selftest.run(device, reference)
    return {"reference": f"float64 on {reference.name}", "kernels": [
        {**asdict(r), "error": r.error if np.isfinite(r.error) else None, "ok": r.ok} for r in results]}


# ---- facts ----

def facts(device: Device | None, gpus: list[dict[str, str]]) -> dict[str, str]:
    """What a bug report should hold of the machine and of what is installed."""
    folder = compiler.cache_folder()
    found = {
        "minivae": f"{__version__} in {Path(__file__).parent}",
        "system": platform.platform(),
        "Python": f"{platform.python_version()}, {sys.executable}",
        "NumPy": f"{np.__version__} with {_blas()}; minivae's products are its own",
        "processor": f"{processor_name()}, {os.cpu_count()} processors, {default_threads()} threads used",
        "compiler": _compiler(),
        "cache": _folder(folder),
        "GPU": _gpus(device, gpus),
        "driver": _driver(gpus),
        "CuPy": _cupy(),
        "CUDA headers": str(gpu_probe.header_folder() or "none found"),
    }
    if gpu_probe.cupy_packages():
        found["CuPy's cache"] = _folder(gpu_probe.cupy_cache())
    chosen = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)]
    return {**found, "environment": " ".join(chosen) or "nothing set that minivae or CuPy heeds"}


def _blas() -> str:
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'an unknown BLAS')} {blas.get('version', '')}".rstrip()


def _compiler() -> str:
    try:
        return f"{compiler.require()}, {compiler.version()}"
    except MinivaeError as error:
        return f"none ({error})"


def _folder(folder: Path) -> str:
    why = gpu_probe.why_not_writable(folder)
    state = f"cannot be written ({why})" if why else "writable"
    return f"{folder}, {state}, {gpu_probe.folder_size(folder) / 1e6:.1f} MB"


def _gpus(device: Device | None, gpus: list[dict[str, str]]) -> str:
    if gpus:
        return "; ".join(f"{g['index']}: {g['name']}, compute capability {g['compute_cap']}, {g['memory.used']} of "
                         f"{g['memory.total']} in use" for g in gpus)
    if device is not None and device.cuda:
        return f"{device.describe()}, compute capability {'.'.join(map(str, device.capability))}"
    count = gpu_probe.on_the_bus()
    return f"{count} of NVIDIA on the bus, but nvidia-smi shows none" if count else "none of NVIDIA"


def _driver(gpus: list[dict[str, str]]) -> str:
    speaks = gpu_probe.driver_cuda()
    if speaks is None:
        return "none"
    version = gpus[0]["driver_version"] if gpus else gpu_probe.driver_version()
    return f"{version or 'of unknown version'}, for CUDA {speaks[0]}.{speaks[1]}"


def _cupy() -> str:
    packages = [f"{name} {gpu_probe.package_version(name)}" for name in gpu_probe.cupy_packages()]
    if not packages:
        return "not installed"
    if not has_nvidia_driver():
        return ", ".join(packages)      # to import it takes a second, and without a driver it tells no more
    try:
        versions = devices.cuda_versions()
    except MinivaeError as error:
        return f"{', '.join(packages)}; cannot be imported ({error})"
    return ", ".join([*packages, *(f"{part} {version}" for part, version in versions.items())])


# ---- failures that are known ----

def gpu_problems(name: str, device: Device | None, why: str) -> list[str]:
    """What keeps a GPU from being used, or may spoil its results."""
    found = []
    packages = gpu_probe.cupy_packages()
    if len(packages) > 1 and name != "cpu":
        found.append(gpu_errors.two_packages(packages))
    if name == "auto" and not has_nvidia_driver() and gpu_probe.on_the_bus():
        found.append(gpu_errors.no_driver())
    if name == "auto" and has_nvidia_driver() and device is not None and not device.cuda and len(packages) < 2:
        found.append(why)
    if device is not None and device.cuda and device.capability < gpu_errors.TESTED_FROM:
        found.append(gpu_errors.old_gpu(device.capability))
    return [str(problem) for problem in found]


def cpu_problems() -> list[str]:
    """What keeps kernels from being compiled for the processor, or kept."""
    found = []
    try:
        compiler.version()
    except MinivaeError as error:
        found.append(str(error))
    folder = compiler.cache_folder()
    if why := gpu_probe.why_not_writable(folder):
        found.append(f"the cache folder {folder} cannot be written ({why}): set MINIVAE_CACHE to a folder that can be "
                     "written")
    return found


# ---- the verdict ----

def verdict(name: str, report: dict, failure: MinivaeError | None) -> tuple[str, bool]:
    """(the last line, whether minivae works here on what it would take)."""
    if failure is not None:
        return f"minivae does NOT work with --device {name}: {failure}", False
    where, count = report["device"], len(report["kernels"])
    wrong = [result for result in report["kernels"] if not result["ok"]]
    raised = [result for result in wrong if result["failure"]]
    if wrong:
        names = ", ".join(result["name"] for result in wrong[:3]) + ", ..." * (len(wrong) > 3)
        why = f"{raised[0]['name']}: {raised[0]['failure']}" if raised else "please report all that is above"
        return f"minivae does NOT work on {where}: {len(wrong)} of {count} results are not right ({names}; {why})", False
    instead = f"; it takes the CPU: {report['why']}" if name == "auto" and where.startswith("cpu") else ""
    return f"minivae works on {where}: {count} of {count} results are right{instead}", True
