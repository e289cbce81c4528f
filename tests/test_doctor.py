"""`minivae doctor`: what it finds, the verdict and the exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minivae import device as devices
from minivae import doctor, kernels
from minivae.errors import MinivaeError, UsageError
from minivae.gpu import errors as gpu_errors
from minivae.gpu import probe as gpu_probe
from minivae.host import compiler

ROOT = Path(__file__).parent.parent
TOO_OLD = RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")


@pytest.fixture
def driver(monkeypatch):
    """A machine with a driver for CUDA 12.4 and CuPy for CUDA 13; what the import of CuPy raises can be set."""
    def set_failure(error):
        def fail():
            raise gpu_errors.GpuError(error) from error

        monkeypatch.setattr(devices, "_import_cupy", fail)

    for module in (devices, doctor):
        monkeypatch.setattr(module, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(devices, "_gpus", {})
    monkeypatch.setattr(gpu_probe, "driver_cuda", lambda: (12, 4))
    monkeypatch.setattr(gpu_probe, "driver_version", lambda: "550.54.14")
    monkeypatch.setattr(gpu_probe, "cupy_packages", lambda: ["cupy-cuda13x"])
    monkeypatch.setattr(gpu_probe, "gpus", lambda: [])
    set_failure(TOO_OLD)
    return set_failure


def test_a_cpu_that_works(monkeypatch):
    """Every fact has words, every kernel is right, the verdict says where and why, and all of it survives JSON."""
    for module in (devices, doctor):
        monkeypatch.setattr(module, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(gpu_probe, "on_the_bus", lambda: 0)
    report = doctor.examine("auto")
    assert report["works"] and report["problems"] == [] and report["reference"] == "float64 on cpu"
    assert all(report["facts"].values())
    assert {"Python", "NumPy", "compiler", "cache", "driver", "CuPy"} < report["facts"].keys()
    count = len(report["kernels"])
    assert report["verdict"] == (f"minivae works on {devices.cpu().describe()}: {count} of {count} results are right; "
                                 "it takes the CPU: no NVIDIA driver")
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert "it takes the CPU" not in doctor.examine("cpu")["verdict"]


def test_a_gpu_without_a_driver(monkeypatch):
    """It is on the bus, and nothing drives it: the CPU works, and the fix is named."""
    for module in (devices, doctor):
        monkeypatch.setattr(module, "has_nvidia_driver", lambda: False)
    monkeypatch.setattr(gpu_probe, "on_the_bus", lambda: 1)
    report = doctor.examine("auto")
    assert report["works"] and [p for p in report["problems"] if "no NVIDIA driver: install" in p]


def test_a_broken_gpu_under_auto(driver):
    """The CPU is taken; the verdict says so, why, and what mends the GPU."""
    report = doctor.examine("auto")
    assert report["works"] and report["device"].startswith("cpu")
    assert report["facts"]["driver"] == "550.54.14, for CUDA 12.4" and "cannot be imported" in report["facts"]["CuPy"]
    for words in (*report["problems"], report["verdict"]):
        assert "the driver is for CUDA 12.4, but cupy-cuda13x for another CUDA version" in words
        assert "install 'cupy-cuda12x[ctk]>=14'" in words
    assert "; it takes the CPU: no working GPU: " in report["verdict"]


def test_a_broken_gpu_by_name(driver):
    """Asked for by name it does not work; the facts are there all the same."""
    report = doctor.examine("cuda")
    assert not report["works"] and report["device"] is None and report["kernels"] == []
    assert report["verdict"].startswith("minivae does NOT work with --device cuda: no working GPU: the driver is for CUDA "
                                        "12.4")
    assert report["why"] == report["problems"][0] == report["verdict"].removeprefix("minivae does NOT work with --device cuda: ")
    assert report["facts"]["driver"] == "550.54.14, for CUDA 12.4"


def test_the_error_is_that_of_a_training(driver):
    """doctor and `train --device cuda` say the same."""
    with pytest.raises(MinivaeError) as caught:
        devices.select("cuda")
    assert doctor.examine("cuda")["verdict"].endswith(str(caught.value))


def test_two_cupys(driver, monkeypatch):
    monkeypatch.setattr(gpu_probe, "cupy_packages", lambda: ["cupy-cuda12x", "cupy-cuda13x"])
    report = doctor.examine("auto")
    assert [p for p in report["problems"] if "uninstall cupy-cuda12x cupy-cuda13x, then" in p] and report["works"]
    assert not [p for p in doctor.examine("cpu")["problems"] if "CuPy" in p]


def test_an_old_gpu_that_works_all_the_same():
    class Gpu:
        cuda, capability = True, (7, 0)

    [problem] = doctor.gpu_problems("cuda", Gpu, "as asked")
    assert "compute capability 7.0, is older than what minivae's kernels are tested for, 7.5 (sm_75" in problem
    Gpu.capability = (7, 5)
    assert doctor.gpu_problems("cuda", Gpu, "as asked") == []


def test_a_gpu_without_a_compiler_is_compared_with_itself(monkeypatch):
    """A GPU needs no C++ compiler: its own float64 build stands in for the CPU's, and the report says so."""
    ran = []

    class Gpu:
        cuda, name = True, "cuda:0"

    monkeypatch.setattr(compiler, "find", lambda: None)
    monkeypatch.setattr(kernels, "prepare", lambda *where: ran.append(where))
    monkeypatch.setattr(doctor.selftest, "run", lambda *where: ran.append(where) or [])
    assert doctor._tested(Gpu)["reference"] == "float64 on cuda:0" and ran[-1] == (Gpu, Gpu)
    monkeypatch.setattr(compiler, "find", lambda: "c++")
    assert doctor._tested(Gpu)["reference"] == "float64 on cpu" and ran[-1] == (Gpu, devices.cpu())


def _result(name, ok, failure=None):
    return {"name": name, "ok": ok, "failure": failure}


def test_the_verdict_on_wrong_results():
    """Names them and asks for a report; where something was raised, says that and its fix."""
    report = {"device": "cuda:0 (X)", "why": "a GPU works", "kernels": [_result("add", True), *(
        _result(name, False) for name in ("sum", "adam", "im2col", "col2im"))]}
    words, works = doctor.verdict("auto", report, None)
    assert not works and "on cuda:0 (X): 4 of 5 results are not right (sum, adam, im2col, ...; please report all" in words
    report["kernels"].append(_result("fill", False, "the GPU is out of memory (x): end what else uses it"))
    words, works = doctor.verdict("auto", report, None)
    assert not works and "5 of 6 results are not right (sum, adam, im2col, ...; fill: the GPU is out of memory (x): end" in words


def test_unknown_devices_are_refused_at_once():
    with pytest.raises(UsageError, match="take auto, cpu, cuda or cuda:N"):
        doctor.examine("tpu")


# ---- the command, in processes of its own ----

def _minivae(*arguments, cwd, **environment):
    done = subprocess.run([sys.executable, "-m", "minivae", "doctor", *arguments], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, timeout=300)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("width", [80, 120])
def test_the_command(tmp_path, width):
    """A line a fact, a row a kernel, the verdict last; fits the terminal and is plain where it is piped."""
    code, out, err = _minivae("--device", "cpu", "--json", "doctor.json", cwd=tmp_path, COLUMNS=str(width))
    assert code == 0, out + err
    lines = out.splitlines()
    assert lines[0].startswith("minivae       ") and lines[-1].startswith("minivae works on cpu (") and "\x1b" not in out
    assert max(len(line.rstrip()) for line in lines if " ok" in line or "error" in line) <= width
    names = {name for stem in kernels.stems() for name in kernels.signatures(stem)}
    assert names <= {line.split()[0] for line in lines if line.rstrip().endswith(" ok")}
    report = json.loads((tmp_path / "doctor.json").read_text())
    assert report["verdict"] == lines[-1] and report["works"] and len(list(tmp_path.iterdir())) == 1


def test_what_a_pipe_gets(tmp_path):
    """No line is folded or padded, however long: it can be searched and pasted."""
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run([sys.executable, "-m", "minivae", "doctor", "--device", "cpu"], cwd=tmp_path, capture_output=True,
                          text=True, env={**environment, "PYTHONPATH": str(ROOT), "MINIVAE_LONG": " long" * 40}, timeout=300)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and all(line == line.rstrip() for line in lines)
    assert [line for line in lines if line.startswith("environment ") and line.count(" long") == 40]
    assert not [line for line in lines if line.startswith("     ")]


def test_a_cold_start_says_once_that_it_compiles(cpu, monkeypatch):
    """The kernels' float32 and the reference's float64 are one piece of work."""
    prepared = []
    monkeypatch.setattr(kernels, "prepare", lambda *where: prepared.append(where))
    monkeypatch.setattr(doctor.selftest, "run", lambda *where: [])
    doctor.examine("cpu")
    assert prepared == [(cpu, np.float32, np.float64)]


def test_a_gpu_that_is_not_there(tmp_path):
    """Exit code 1, the fix in the last line, and the report is left all the same."""
    code, out, _ = _minivae("--device", "cuda", "--json", "doctor.json", cwd=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert code == 1 and out.splitlines()[-1].startswith("minivae does NOT work with --device cuda: no working GPU: ")
    assert out.splitlines()[-1].endswith("take --device cpu")
    report = json.loads((tmp_path / "doctor.json").read_text())
    assert not report["works"] and report["why"] in report["problems"] and report["why"].startswith("no working GPU: ")


@pytest.mark.parametrize(("environment", "words"), [
    ({"CXX": "no-such-compiler"}, "CXX=no-such-compiler names no program, .*apt install g"),
    ({"MINIVAE_CACHE": "file/below"}, "cannot write compiled kernels .*set MINIVAE_CACHE to a folder"),
], ids=["compiler", "cache"])
def test_a_cpu_that_does_not_work(tmp_path, environment, words):
    (tmp_path / "file").write_text("")
    code, out, _ = _minivae("--device", "cpu", cwd=tmp_path, **environment)
    *_, last = out.splitlines()
    assert code == 1 and last.startswith("minivae does NOT work with --device cpu: ")
    assert re.search(words, last)


def test_cupys_cache_that_cannot_be_made(tmp_path):
    """CuPy makes it when it is imported, and raises no ImportError then."""
    (tmp_path / "file").write_text("")
    code, out, _ = _minivae("--device", "cuda", cwd=tmp_path, CUPY_CACHE_DIR=str(tmp_path / "file/below"))
    assert code == 1 and "set CUPY_CACHE_DIR to a folder that can be written" in out.splitlines()[-1]


def test_bad_arguments(tmp_path):
    for arguments, code, words in ((["--device", "tpu"], 2, "take auto, cpu"),
                                   (["--json", "no/such/x.json"], 1, "cannot write")):
        got, out, err = _minivae(*arguments, cwd=tmp_path)
        assert got == code and words in err and len(err.splitlines()) == 1 and out == ""
    assert not list(tmp_path.iterdir())
