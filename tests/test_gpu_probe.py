"""What is asked of the machine without computing on it."""

import os
from pathlib import Path

import pytest

from minivae.gpu import probe as gpu_probe


@pytest.mark.parametrize(("answer", "said"), [(0, (12, 4)), (1, None)])
def test_the_cuda_version_of_the_driver(monkeypatch, answer, said):
    """1000 major + 10 minor, as cuDriverGetVersion says it; None where it fails or there is no driver."""
    class Library:
        @staticmethod
        def cuDriverGetVersion(version):
            version._obj.value = 12040
            return answer

    monkeypatch.setattr(gpu_probe, "driver_library", Library)
    assert gpu_probe.driver_cuda() == said
    monkeypatch.setattr(gpu_probe, "driver_library", lambda: None)
    assert gpu_probe.driver_cuda() is None


def _nvidia_smi(folder, text, code=0):
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
    program.chmod(0o755)


def test_gpus_by_nvidia_smi(tmp_path, monkeypatch):
    """A row a GPU; none where the program is missing or fails."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    _nvidia_smi(tmp_path, "0, NVIDIA H100 80GB HBM3, 9.0, 81559 MiB, 4 MiB, 580.65.06\n"
                          "1, NVIDIA GeForce RTX 2080, 7.5, 8192 MiB, 0 MiB, 580.65.06")
    first, second = gpu_probe.gpus()
    assert first == {"index": "0", "name": "NVIDIA H100 80GB HBM3", "compute_cap": "9.0", "memory.total": "81559 MiB",
                     "memory.used": "4 MiB", "driver_version": "580.65.06"}
    assert second["compute_cap"] == "7.5"
    _nvidia_smi(tmp_path, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", code=9)
    assert gpu_probe.gpus() == []
    monkeypatch.setenv("PATH", "")
    assert gpu_probe.gpus() == []


def test_packages_that_bring_cupy(monkeypatch):
    """By name; cupy-something that does not bring the module cupy is left out."""
    class Found:
        def __init__(self, name):
            self.metadata = {"Name": name}

    names = ("numpy", "cupy-cuda13x", "CuPy-CUDA12x", "cupy-xarray", None)
    monkeypatch.setattr(gpu_probe.importlib.metadata, "distributions", lambda: map(Found, names))
    assert gpu_probe.cupy_packages() == ["cupy-cuda12x", "cupy-cuda13x"]


def test_headers_are_found_where_the_extra_puts_them(tmp_path, monkeypatch):
    """In site-packages by CUDA 12's packages and by CUDA 13's, or below CUDA_PATH."""
    import cuda.pathfinder
    monkeypatch.setattr(cuda.pathfinder, "find_nvidia_header_directory", lambda name: None)
    monkeypatch.setattr(gpu_probe, "TOOLKIT", str(tmp_path / "nowhere"))
    monkeypatch.delenv("CUDA_PATH", raising=False)
    monkeypatch.setattr(gpu_probe.sys, "path", [str(tmp_path)])
    assert gpu_probe.header_folder() is None
    for place in ("nvidia/cu13/include", "nvidia/cuda_runtime/include", "toolkit/include"):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        if place.startswith("toolkit"):
            monkeypatch.setenv("CUDA_PATH", str(folder.parent))
        (folder / "cuda_fp16.h").write_text("")
        assert gpu_probe.header_folder() == folder
        (folder / "cuda_fp16.h").unlink()


def test_cupys_cache(monkeypatch):
    monkeypatch.setenv("CUPY_CACHE_DIR", "/some/where")
    assert gpu_probe.cupy_cache() == Path("/some/where")
    monkeypatch.delenv("CUPY_CACHE_DIR")
    from cupy.cuda import _compiler_cache
    assert str(gpu_probe.cupy_cache()) == _compiler_cache._default_cache_dir


def test_versions_of_cuda():
    """From the real CuPy; what cannot be asked is said to be unknown."""
    import cupy
    versions = gpu_probe.cuda_versions(cupy)
    assert versions.keys() == {"runtime", "NVRTC"}
    assert all(float(version) >= 12 for version in versions.values())

    class Broken:
        class cuda:
            class runtime:
                @staticmethod
                def runtimeGetVersion():
                    raise RuntimeError("no\nlibrary")

            nvrtc = cupy.cuda.nvrtc

    assert gpu_probe.cuda_versions(Broken)["runtime"] == "unknown (no library)"


def test_writing_and_measuring_folders(tmp_path):
    """A folder is made where it is missing; nothing is left in it."""
    folder = tmp_path / "a/b"
    assert gpu_probe.why_not_writable(folder) is None and folder.is_dir() and not list(folder.iterdir())
    (folder / "file").write_bytes(b"12345")
    (folder / "link").symlink_to("nowhere")
    assert gpu_probe.folder_size(tmp_path) == 5
    assert gpu_probe.why_not_writable(folder / "file") and gpu_probe.why_not_writable(folder / "file/below")
    assert gpu_probe.folder_size(tmp_path / "missing") == 0
