"""The command line where something goes wrong: one line that names it and the fix, and nothing half done."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import ROOT, minivae
from data_sets import idx

BAD_ARGUMENTS = [
    (["train", "--data", "digit"], 2, "digits"), (["train", "--data", "no/such/folder"], 2, "no/such/folder"),
    (["train", "--batch-size", "4001"], 2, "take at most 4000"), (["train", "--batch-size", "0"], 2, "at least 2"),
    (["train", "--code", "0"], 2, "--code is 0"), (["train", "--learning-rate", "-1"], 2, "--learning-rate is -1"),
    (["train", "--epochs", "0"], 2, "--epochs is 0"), (["train", "--hidden", "12,x"], 2, "no list of sizes"),
    (["train", "--hidden", "12,0"], 2, "--hidden is 12,0"), (["train", "--arch", "gan"], 2, "'ff'"),
    (["train", "--device", "tpu"], 2, "auto, cpu, cuda or cuda:N"), (["sample", "nowhere"], 2, "there is no run in nowhere"),
    (["reconstruct", "nowhere"], 2, "there is no run"), (["eval", "nowhere"], 2, "there is no run in nowhere"), (["train", "--out", "/proc/x"], 1, "cannot make the run folder"),
    (["nonsense"], 2, "No such command"), (["trane"], 2, "did you mean train?"),
    (["train", "--channels", "8"], 2, "--channels belongs to --arch conv"),
    (["train", "--arch", "conv", "--channels", "8,8,8"], 2, "28 x 28 can be halved 2 times only: take at most 2 --channels"),
    (["train", "--optimizer", "newton"], 2, "'lamb'"), (["train", "--schedule", "linear"], 2, "'one-cycle'"),
    (["train", "--ema", "1"], 2, "--ema is 1, but must be 0 (no average) or a decay below 1"),
    (["train", "--rescale", "-5"], 2, "--rescale is -5"), (["train", "--clip", "nan"], 2, "--clip is nan"),
    (["train", "--weight-decay", "-1"], 2, "--weight-decay is -1"), (["train", "--warm-up", "61"], 2, "only 60"),
    (["optimizers", "newton"], 2, "'lamb'"),
    (["train", "--labels", "5"], 2, "--labels is 5, but must be 0 or from 10 (one of each class) to 4000 (all)"),
    (["train", "--labels", "100", "--label-weight", "-1"], 2, "--label-weight is -1"), (["train", "--semi", "m3"], 2, "'shared', 'm2'"),
    (["classify", "nowhere", "x.png"], 2, "there is no run in nowhere"), (["classify", "nowhere"], 2, "Missing argument"),
    (["bench", "--batch-size", "4001"], 2, "take at most 4000"), (["bench", "--batch-size", "0"], 2, "--batch-size is 0"),
    (["bench", "--json", "no/such/folder/x.json"], 1, "cannot write"), (["bench", "--json", "."], 1, "no regular file"),
    (["bench", "--arch", "gan"], 2, "'both'"), (["bench", "--repeat", "0"], 2, "--repeat"),
    (["bench", "--batch-size", "4001", "--json", "x.json"], 2, "take at most 4000"),
    (["train", "--hidden", "0"], 2, "--hidden is 0, but"), (["train", "--hidden", "x"], 2, "sizes such as 512,512,256"),
    (["train", "--arch", "conv", "--channels", "64,x"], 2, "'--channels': '64,x' is no list of sizes such as 64,128"),
    (["summary", "--arch", "conv", "--image", "27,28,1"], 2, "halved 0 times only: take --arch ff"),
    (["train", "--out", ""], 2, "'--out': the name is empty"), (["train", "--data", " "], 2, "'--data': the name is empty"),
    (["sample", "x", "--out", ""], 2, "'--out': the name is empty"), (["sample", ""], 2, "'RUN': the name is empty"),
    (["reconstruct", "x", "--data", ""], 2, "'--data': the name is empty"),
    (["kernels", "--json", ""], 2, "'--json': the name is empty"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), BAD_ARGUMENTS, ids=lambda a: "-".join(a) if isinstance(a, list) else "")
def test_bad_arguments(tmp_path, arguments, code, words):
    """One clear error, its exit code, no trace, nothing written."""
    got, out, err = minivae(*arguments, cwd=tmp_path)
    assert got == code and re.fullmatch("(device: .*\n)?", out)       # no work is announced that is then not done
    assert words in err and "Traceback" not in err
    assert err.startswith("minivae: ") and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_cuda_without_a_gpu_names_the_fix(tmp_path):
    """--device cuda where no GPU works; auto takes the CPU and says why."""
    code, _, err = minivae("train", "--device", "cuda", cwd=tmp_path, CUDA_VISIBLE_DEVICES="")
    assert code in (1, 2) and "Traceback" not in err
    assert "or take --device cpu" in err or "there is no GPU 0" in err


def test_a_run_that_stops_before_its_first_checkpoint_leaves_nothing(tmp_path):
    """The cost is not finite in the first epoch: one line, and the name can be used again."""
    arguments = ["train", "--optimizer", "sgd", "--learning-rate", "1e30", "--hidden", "8", "--code", 2, "--out", "x"]
    for _ in range(2):
        code, _, err = minivae(*arguments, "--device", "cpu", cwd=tmp_path)
        assert code == 1 and "the cost was not finite at step" in err and "no checkpoint had been written yet" in err
        assert not list(tmp_path.iterdir())


def test_sizes_beyond_all_memory(tmp_path):
    """Every option that would help is named, and none that the command lacks."""
    code, _, err = minivae("train", "--hidden", "16000000,16000000", "--device", "cpu", cwd=tmp_path)
    assert code == 1 and "minivae: out of memory (" in err and len(err.splitlines()) == 1
    assert err.endswith("): take a smaller --batch-size, --hidden, --channels or --code\n")
    code, _, err = minivae("summary", "--image", "10000000,10000000,1", "--device", "cpu", cwd=tmp_path)
    assert code == 1 and err.endswith("): take a smaller --hidden, --channels, --code or --batch-size\n")


def test_output_that_cannot_be_written(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "minivae", "train", "--device", "cpu"], cwd=tmp_path, stdout=full,
                              stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=100)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "choose another place" in done.stderr
    assert not list(tmp_path.rglob("*.toml"))


def test_no_compiler_and_no_gpu(tmp_path):
    """One line that names the fix; no run folder is left."""
    code, _, err = minivae("train", cwd=tmp_path, CXX="no-such-compiler", CUDA_VISIBLE_DEVICES="")
    assert code == 1 and "Traceback" not in err
    assert re.search("minivae: CXX=no-such-compiler names no program.*install one", err)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def noise(tmp_path, rng):
    """A folder of images that no picture makes smaller."""
    folder = tmp_path / "noise"
    folder.mkdir()
    for part, count in (("train", 200), ("t10k", 100)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 28, 28), np.uint8)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.zeros(count, np.uint8)))
    return folder


def test_no_room_at_the_end(noise, tmp_path):
    """For the pictures: what failed, then what is kept and how to go on, which works. For the checkpoint: nothing is left."""
    arguments = ["train", "--data", noise, "--epochs", 2, "--hidden", 1, "--code", 1, "--device", "cpu", "--out", "x"]
    code, _, err = minivae(*arguments, cwd=tmp_path, room=70_000)
    assert (code, err.count("\n")) == (1, 2) and "can be used" not in err
    said, kept = err.splitlines()
    assert re.fullmatch("minivae: cannot write .*x/source.png: .*; make room there", said)
    assert kept.startswith("minivae: x keeps the model after 2 of 2 epochs: `minivae sample x` and ")
    code, _, err = minivae("sample", "x", "--device", "cpu", cwd=tmp_path)
    assert code == 0 and (tmp_path / "x/samples.png").exists(), err
    shutil.rmtree(tmp_path / "x")
    code, _, err = minivae(*arguments, cwd=tmp_path, room=20_000)
    first, last = err.splitlines()
    assert code == 1 and first.endswith("Training goes on and tries again in 60 s; there is no checkpoint yet")
    assert re.match("minivae: cannot write .*x/checkpoints/.*: .*; make room there$", last) and not (tmp_path / "x").exists()


def test_no_command(tmp_path):
    """The help as it is laid out for --help."""
    code, out, err = minivae(cwd=tmp_path)
    assert (code, out, err) == (2, "", minivae("--help", cwd=tmp_path)[1]) and "\n  train  " in err


@pytest.mark.parametrize("count", ["zero", "0", "-3", "1.5"])
def test_a_number_of_threads_that_cannot_be(tmp_path, count):
    code, out, err = minivae("train", "--out", "x", "--device", "cpu", cwd=tmp_path, MINIVAE_THREADS=count)
    assert (code, out) == (2, "") and err.startswith(f"minivae: MINIVAE_THREADS is {count}, but must be a number of threads, 1")
    assert err.count("\n") == 1 and not list(tmp_path.iterdir())


def _interrupted(arguments, cwd, moment, **environment):
    """(exit code, errors) of a command that gets Ctrl-C, with all that it started, at that moment."""
    process = subprocess.Popen([sys.executable, "-m", "minivae", *arguments], cwd=cwd, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, start_new_session=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    first = process.stderr.readline()
    moment()
    os.killpg(process.pid, signal.SIGINT)
    _, rest = process.communicate(timeout=100)
    return process.returncode, first + rest


def test_ctrl_c_while_kernels_are_compiled_for_a_gpu(tmp_path):
    """One line, and no half of a file."""
    code, err = _interrupted(["kernels", "--json", "k.json"], tmp_path, lambda: time.sleep(0.5))
    assert code == 130 and err.startswith("compiling ") and err.endswith("minivae: stopped\n") and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_stopped_alone_while_kernels_are_compiled(tmp_path):
    """A signal that the compilers do not get: they are ended with what they started, and nothing of theirs is left, nor what
    a process left that was killed before."""
    cache = tmp_path / "cache"
    (dead := cache / "kernels" / "tmpdead").mkdir(parents=True)
    os.utime(dead, (0, 0))
    process = subprocess.Popen([sys.executable, "-m", "minivae", "train", "--device", "cpu", "--out", "x"], cwd=tmp_path,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT), "MINIVAE_CACHE": str(cache)})
    assert "compiling" in process.stderr.readline()
    while not list(cache.glob("kernels/tmp*/*.cpp")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.endswith("minivae: stopped\n") and "Traceback" not in err
    assert not list(cache.glob("kernels/tmp*")) and not (tmp_path / "x").exists()


LEFT = """
import pathlib, sys, threading, time
from minivae.host import compiler
from minivae.cli import entry
threading.Thread(target=compiler.build, args=("x", "int x;")).start()
while not list(compiler.cache_folder().glob("kernels/tmp*/compiling")):
    time.sleep(0.01)
entry._stop("stopped", KeyboardInterrupt(), 130)
"""


def test_threads_that_compile_are_not_waited_for(tmp_path):
    """As one that Python was about to start when Ctrl-C came, of which its pool does not know: its compiler and its folder go."""
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\nfor last; do case $last in *.cpp) touch "${last%/*}/compiling";; esac; done\nsleep 60\n')
    compiler.chmod(0o755)
    began, environment = time.monotonic(), {"CXX": str(compiler), "MINIVAE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=100,
                          env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    assert (done.returncode, done.stderr) == (130, "minivae: stopped\n") and time.monotonic() - began < 50
    assert not list((tmp_path / "cache/kernels").iterdir())


def test_ctrl_c_while_kernels_are_compiled_for_the_processor(tmp_path):
    """The cache keeps nothing but what is whole."""
    cache = tmp_path / "cache"

    def compiling():
        for _ in range(1000):
            if list(cache.rglob("*.cpp")):
                return
            time.sleep(0.01)

    code, err = _interrupted(["train", "--device", "cpu", "--out", "x"], tmp_path, compiling, MINIVAE_CACHE=str(cache))
    assert code == 130 and err.endswith("minivae: stopped\n") and "Traceback" not in err
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".so"] and not (tmp_path / "x").exists()
