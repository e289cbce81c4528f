"""The commands that look at models, kernels and the machine, the help, and the choices that are offered."""

import json
import os
import re
import subprocess
import sys

import pytest
from command_line import ROOT, minivae

from minivae import data, kernels, system
from minivae.cli import entry, options
from minivae.gpu_code import nvrtc
from minivae.models import ARCHITECTURES, LIKELIHOODS, SEMI
from minivae.optim import OPTIMIZERS, SCHEDULES


def test_the_choices_offered_are_those_there_are():
    assert set(options.ARCHITECTURES) == set(ARCHITECTURES) and options.OPTIMIZERS == tuple(OPTIMIZERS)
    assert options.SCHEDULES == tuple(SCHEDULES) and set(options.LIKELIHOODS) == set(LIKELIHOODS)
    assert options.SEMI == tuple(SEMI) and options.DATA_SETS == data.NAMES and options.GPU_ARCHITECTURES == nvrtc.ARCHITECTURES


def test_the_list_of_optimizers(tmp_path):
    """All of them, in the order of the command line, or those that are named; within 80 columns no name is cut."""
    code, out, _ = minivae("optimizers", cwd=tmp_path, COLUMNS="80")
    names = [line.split()[0] for line in out.splitlines() if re.match(r"  [a-z]", line)]
    assert code == 0 and names == ["name", *OPTIMIZERS] and max(map(len, out.splitlines())) <= 80
    code, out, _ = minivae("optimizers", "rmsprop", cwd=tmp_path, COLUMNS="100")
    assert code == 0 and "Graves 2013" in out and "m' = mu m - s" in out and "limit 5" in out and "lion" not in out
    code, out, _ = minivae("optimizers", "adamw", cwd=tmp_path)
    assert code == 0 and re.search(r"lr 0\.03 *\n.*\(0\.001\)", out)


def test_bench(tmp_path):
    """The table, the line that compares, a table of where the time goes; all numbers in a file."""
    arguments = ["bench", "--batch-size", 4, "--repeat", 1, "--device", "cpu"]
    code, out, err = minivae(*arguments, "--profile", "--json", "times.json", cwd=tmp_path)
    assert code == 0, err
    assert out.startswith("device: cpu (")
    for label in ("ms, median", "examples/s", "GFLOP", "GFLOP/s", "time / products alone", "kernel launches",
                  "working memory, MB"):
        assert len(re.findall(rf"│ {label} +│ +[\d,.]+ │ +[\d,.]+ │", out)) == 1
    times, sizes = r"[\d.]+ \([\d.]+ - [\d.]+; ", r"4 against 4 examples\); "
    assert re.search(f"^conv/ff per iteration: {times}{sizes}their arithmetic: 14.53$", out, re.MULTILINE)
    for row in ("conv2d_transpose backward", "rmsprop_nesterov", "outside: Python, copies", "all"):
        assert row in out.split("conv: where the time goes")[1]
    report = json.loads((tmp_path / "times.json").read_text())
    assert [p.name for p in tmp_path.iterdir()] == ["times.json"]
    assert report["architectures"].keys() == report["profiles"].keys() == {"ff", "conv"}
    code, out, err = minivae(*arguments, "--arch", "ff", cwd=tmp_path)
    assert code == 0 and "conv" not in out.replace("convolutions", ""), err


def test_names_of_the_built_in_sets_are_known():
    assert "digits" in data.NAMES and "fashion-mnist" in data.NAMES and "mnist" in data.NAMES


@pytest.mark.parametrize("name", ["", *entry.COMMANDS])
def test_help(name):
    """Every command explains itself without loading the library; its first words are those of the list of commands."""
    code = "import sys\nfrom minivae.cli import main\ntry: main()\nfinally: print({'numpy', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code, *name.split(), "--help"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and done.stdout.endswith("set()\n"), done.stderr
    assert done.stdout.startswith(f"Usage: minivae {name}")
    if name:
        assert done.stdout.split("\n\n")[1].strip() == entry.COMMANDS[name][1]


def test_exit_codes_are_in_the_help(tmp_path):
    """Those that commands really leave with: 2 for a wrong name, 1 for a file that cannot be read."""
    _, out, _ = minivae("--help", cwd=tmp_path)
    assert re.search("Exit codes:\n +0 +done\n +1 +it failed.*\n +2 +wrong usage.*\n +130 +stopped", out)


def test_summary(tmp_path):
    """Whole numbers in 80 columns, and by batch; what no model can have is one line."""
    code, out, err = minivae("summary", "--arch", "conv", "--depth", "3", cwd=tmp_path, COLUMNS="80")
    assert (code, err) == (0, "") and re.search(r"down.1 +│ Conv .*│ +73,984 │ +28,901,376 │", out)
    assert re.search(r" {4}norm +│ BatchNorm .*│ +256 │ +0 │", out) and re.search(r"all .* 7,111,554 │ +51,149,312 │", out)
    code, out, _ = minivae("summary", "--image", "4,4,1", "--hidden", "3", "--code", "2", "--batch-size", "10", cwd=tmp_path)
    assert code == 0 and re.search(rf"  0 .*\(10, 3\).* {16 * 3 + 6} │ +{2 * 10 * 16 * 3} │", out)
    for wrong, words in ((["--image", "28,28"], "--image is 28,28, but must be"), (["--code", "0"], "--code is 0")):
        code, out, err = minivae("summary", *wrong, cwd=tmp_path)
        assert (code, out) == (2, "") and words in err and err.count("\n") == 1


def test_kernels(tmp_path):
    """A row for every kernel, the same numbers in the file; nothing is wrong with them."""
    code, out, err = minivae("kernels", "--arch", "sm_90", "--json", "k.json", cwd=tmp_path, COLUMNS="80")
    count = len(kernels.stems())
    assert (code, err) == (0, f"compiling {count} kernel files for sm_90 ...\n") and "No warning, no spilled register" in out
    rows = json.loads((tmp_path / "k.json").read_text())["kernels"]
    assert {row["kernel"] for row in rows} == {name for stem in kernels.stems() for name in kernels.signatures(stem)}
    add = next(row for row in rows if row["kernel"] == "add")
    assert (add["architecture"], add["bytes_per_element"], add["widest_load_bytes"]) == ("sm_90", 12, 16)
    assert re.search(rf"add +{add['registers']} +0 +{add['occupancy']:.0%} +12 +16 +16 *\n", out) and "…" not in out


def test_kernels_without_cupy(tmp_path):
    """One line that names the fix, and no file."""
    (tmp_path / "cupy.py").write_text("raise ImportError('no cupy here')")
    code, out, err = minivae("kernels", "--json", "k.json", cwd=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (code, out) == (1, "") and not (tmp_path / "k.json").exists()
    assert err.startswith("minivae: compiling kernels for a GPU needs CuPy and NVRTC, though no GPU (no cupy here): ")
    assert f"{system.pip()} install 'cupy-cuda1" in err and err.count("\n") == 1
