"""What every kernel needs and moves on each GPU architecture, found by compiling it: no GPU is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from minivae import traffic
from minivae.device import import_nvrtc
from minivae.gpu_code import nvrtc
from minivae.gpu_code.occupancy import occupancy
from minivae.kernels import REAL_NAMES
from minivae.sources import signatures, stems
from minivae.work import MAX_THREADS


@contextmanager
def _unwatched(what: str, total: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


def measure(architectures: Sequence[str], dtype=np.float32, threads: int = 1, watched=_unwatched) -> dict:
    """Compile every kernel for those architectures and say what became of it.

    Args:
        architectures: such as sm_90.
        dtype: float32 or float64.
        threads: how many files to compile at once.
        watched: a context manager of what begins and how many files it has, which gives a function to call after each;
            such as progress.counting.

    Returns:
        Plain numbers, strings, lists and dicts, as they go into a JSON file: `kernels`, a dict for each kernel and
        architecture, and `faults`, a line for each thing that is wrong with one.

    Raises:
        MinivaeError: NVRTC is missing, or does not compile a kernel.
        UsageError: an architecture whose limits are not known.
    """
    jobs = [(stem, architecture) for architecture in architectures for stem in stems()]
    version = ".".join(map(str, import_nvrtc().getVersion()))
    with watched(f"compiling {len(stems())} kernel files for {_names(architectures)}", len(jobs)) as advance:
        builds = _built(jobs, dtype, threads, advance)
    kernels, faults = [], []
    for (stem, architecture), made in zip(jobs, builds, strict=True):
        faults += [f"{architecture}: {fault}" for fault in nvrtc.faults_of(made, signatures(stem), dtype)]
        kernels += [{"file": stem, "kernel": name, "architecture": architecture, **_row(name, architecture, made, dtype)}
                    for name in signatures(stem)]
    return {"nvrtc": version, "real": REAL_NAMES[np.dtype(dtype)],
            "threads": MAX_THREADS, "kernels": kernels, "faults": faults}


def _names(architectures: Sequence[str]) -> str:
    """Short enough to leave room for a bar."""
    return ", ".join(architectures) if len(architectures) < 3 else f"{len(architectures)} architectures"


def _built(jobs: list[tuple[str, str]], dtype, threads: int, advance: Callable[[], None]) -> list[nvrtc.Build]:
    executor = ThreadPoolExecutor(threads)      # NVRTC leaves Python while it compiles
    builds = []
    try:
        for made in executor.map(lambda job: nvrtc.build(*job, dtype), jobs):
            builds.append(made)
            advance()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)      # Ctrl-C does not wait for the files that are being compiled
    return builds


def _row(name: str, architecture: str, made: nvrtc.Build, dtype) -> dict:
    compiled = made.kernels[name]
    return {"registers": compiled.registers, "shared_bytes": compiled.shared, "stack_bytes": compiled.stack,
            "spilled_bytes": compiled.spilled,
            "occupancy": occupancy(architecture, MAX_THREADS, compiled.registers, compiled.shared),
            "bytes_per_element": traffic.bytes_per_element(name, dtype), "moves": traffic.moves(name).words,
            "widest_load_bytes": max(compiled.entry.loads, default=0),
            "widest_store_bytes": max(compiled.entry.stores, default=0)}
