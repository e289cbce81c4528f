"""The command line on a GPU: its commands in this process, over the stand-in for CuPy."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import strict_cupy
from PIL import Image
from strict_cupy import cuda

from minivae import cli, data, kernels
from minivae import device as devices
from minivae.bench import timing
from minivae.models import ARCHITECTURES

SIZES = {"ff": ["--hidden", "24,12", "--code", "6"], "conv": ["--channels", "3,16", "--hidden", "16", "--code", "6"]}


@pytest.fixture
def minivae(simt, few_digits, tmp_path, monkeypatch, capsys):
    """Runs a command in a folder of its own on few images of 8 x 8: (exit code, output, errors)."""
    train, test = (x[:, 2:26:3, 2:26:3] for x in (few_digits.train_images, few_digits.test_images))
    tiny = data.Dataset("tiny", train, few_digits.train_labels, test, few_digits.test_labels)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()     # where the data are, as far as it is looked at
    monkeypatch.setattr(data, "load", lambda name, *_, **__: tiny)
    monkeypatch.setattr(timing, "PAUSE", 0)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["minivae", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stopped:
            code = stopped.code
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("arch", SIZES)
def test_train_sample_and_reconstruct(minivae, arch):
    """The same model draws nearly the same pictures on the GPU as on the CPU: no pixel differs by more than one of 255."""
    code, out, err = minivae("train", "--arch", arch, *SIZES[arch], "--epochs", 2, "--batch-size", 16, "--device", "cuda",
                             "--out", "run")
    assert code == 0 and f"device: cuda:0 ({cuda.NAME.decode()}, CuPy {strict_cupy.__version__})" in out, err
    assert re.search(r"test cost \d+\.\d\d = ", out)
    for verb in ("sample", "reconstruct"):
        pictures = []
        for device in ("cuda:0", "cpu"):
            code, _, err = minivae(verb, "run", "--count", 8, "--device", device, "--out", f"{verb}-{device[:3]}.png")
            assert code == 0, err
            pictures.append(np.asarray(Image.open(f"{verb}-{device[:3]}.png")).astype(int))
        assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_bench(minivae, monkeypatch):
    monkeypatch.setattr(ARCHITECTURES["ff"], "SIZES", {"hidden": (24, 12), "code": 6, "channels": ()})
    monkeypatch.setattr(ARCHITECTURES["conv"], "SIZES", {"hidden": (16,), "code": 6, "channels": (3, 4)})
    code, out, err = minivae("bench", "--batch-size", 4, "--repeat", 1, "--profile", "--json", "times.json",
                             "--device", "cuda")
    assert code == 0 and cuda.NAME.decode() in out, err
    report = json.loads(Path("times.json").read_text())
    assert report["architectures"].keys() == {"ff", "conv"} and report["device"].startswith("cuda:0")


def test_a_gpu_whose_memory_is_full_is_one_line(minivae):
    """CuPy's error says how much was wanted; the command line says what to make smaller."""
    pool = strict_cupy.get_default_memory_pool()
    pool.free_all_blocks()
    pool.set_limit(size=pool.total_bytes() + (1 << 20))
    try:
        code, _, err = minivae("train", "--hidden", "2048", "--batch-size", 16, "--device", "cuda", "--out", "run")
    finally:
        pool.set_limit()
    last = err.strip().splitlines()[-1]
    said = r"minivae: out of memory \(Out of memory allocating [\d,]+ bytes.*smaller --batch-size"
    assert code == 1 and re.match(said, last), err
    assert "Traceback" not in err


def test_a_gpu_that_is_not_there(minivae, monkeypatch):
    monkeypatch.setattr(devices, "_gpus", {})
    code, _, err = minivae("train", "--device", "cuda:7", "--out", "run")
    assert code == 2 and err.strip() == "minivae: there is no GPU 7: CUDA sees 2, numbered from 0; take --device cuda:0"


def test_doctor_runs_every_kernel(minivae):
    """The self-test that a user's GPU gets first: nothing that it runs is wrong, or upsets the emulator."""
    _, out, _ = minivae("doctor", "--device", "cuda", "--json", "doctor.json")
    report = json.loads(Path("doctor.json").read_text())
    assert report["device"].startswith("cuda:0") and f"({cuda.NAME.decode()}" in out
    ran = {kernel["name"] for kernel in report["kernels"]}
    assert ran >= {name for stem in kernels.stems() for name in kernels.signatures(stem)}
    assert [kernel for kernel in report["kernels"] if not kernel["ok"]] == []


@pytest.mark.parametrize("where", ["launch", "product"])
def test_a_gpu_that_fails_in_the_middle(minivae, monkeypatch, where):
    """What went wrong in a kernel is said by a later launch or product: one line, not a trace."""
    from cupy_backends.cuda.api.runtime import CUDARuntimeError

    class Failed(CUDARuntimeError):     # the real one asks the driver for its text
        def __init__(self):
            RuntimeError.__init__(self, "CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure")

    owner, name = (strict_cupy.raw.RawKernel, "__call__") if where == "launch" else (strict_cupy, "matmul")
    calls, real = [], getattr(owner, name)

    def fails(*given, **settings):
        calls.append(1)
        if len(calls) > 20:
            raise Failed
        return real(*given, **settings)

    monkeypatch.setattr(owner, name, fails)
    code, _, err = minivae("train", *SIZES["ff"], "--epochs", 1, "--batch-size", 16, "--device", "cuda", "--out", "run")
    assert code == 1 and "CUDA_ERROR_LAUNCH_FAILED" in err.splitlines()[-1] and "Traceback" not in err
