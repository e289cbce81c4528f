"""Runs that are stopped, in whatever way and moment, and go on: the same bits as if they never had."""

import csv
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command_line import ROOT, minivae
from data_sets import idx

from minivae import checkpoint
from minivae.runs import Run

# The command line with checkpoints that take long to write: some 20 ms each, in pieces.
SLOW = """
import time
from contextlib import contextmanager
from minivae import checkpoint

plain = checkpoint.replacing

class Slow:
    def __init__(self, file):
        self.file = file

    def write(self, content):
        piece = len(content) // 10 + 1
        for start in range(0, len(content), piece):
            self.file.write(content[start:start + piece])
            self.file.flush()
            time.sleep(0.002)

@contextmanager
def replacing(path):
    with plain(path) as file:
        yield Slow(file)

checkpoint.replacing = replacing
from minivae.cli import main
main()
"""
# All that has a state: the average, the plateau, an optimizer's three arrays, warm-ups, an epoch of seven steps with a rest.
ARGUMENTS = ["--epochs", 12, "--batch-size", 8, "--hidden", 8, "--code", 3, "--ema", 0.9, "--schedule", "plateau",
             "--warm-up", 0.5, "--kl-warm-up", 3, "--device", "cpu"]
STEPS = 84


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small data set, and in `whole` a run on it that was not stopped."""
    folder, rng = tmp_path_factory.mktemp("resume"), np.random.default_rng(0)
    (folder / "set").mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        (folder / "set" / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 8, 8), np.uint8)))
        (folder / "set" / f"{part}-labels-idx1-ubyte").write_bytes(idx(rng.integers(0, 3, count, np.uint8)))
    code, _, err = minivae("train", "--data", "set", *ARGUMENTS, "--out", "whole", cwd=folder)
    assert code == 0, err
    return folder


def _start(folder, *arguments, program=SLOW):
    """The command line's process, once it trains."""
    process = subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], cwd=folder, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    for line in process.stdout:
        if "parameters on" in line:
            break
    return process


def _same_as_whole(folder, name):
    """The run in that folder ended as the one that was not stopped: its last state and the best model to the bit, and
    metrics.csv but for the times."""
    ours, whole = (Run(folder / part) for part in (name, "whole"))
    for which in ("last", "best"):
        (arrays, facts), (wanted, wanted_facts) = (run.checkpoints.load(which) for run in (ours, whole))
        assert arrays.keys() == wanted.keys()
        for key, value in wanted.items():
            np.testing.assert_array_equal(arrays[key], value)
        times = dict.fromkeys(("seconds", "epoch_seconds"))
        assert {**facts, **times} == {**wanted_facts, **times}
    lines = [[row[:6] for row in csv.reader(run.metrics.read_text().splitlines())] for run in (ours, whole)]
    assert lines[0] == lines[1] and len(lines[0]) == 13
    names = [sorted(p.relative_to(run.folder) for p in run.folder.rglob("*") if "step" not in p.name) for run in (ours, whole)]
    assert names[0] == names[1]


def test_killed_at_twenty_moments(folder):
    """kill -9 at random moments, in the middle of checkpoints' writing, too: what goes on ends with the same bits."""
    moments, writing, steps = random.Random(0), 0, []
    for _ in range(20):
        there = (folder / "killed" / "settings.toml").exists()
        process = _start(folder, "train", *(["--resume", "killed"] if there else ["--data", "set", *ARGUMENTS, "--out", "killed"]),
                         "--save-every", 0)
        time.sleep(moments.uniform(0, 0.25))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        writing += any((folder / "killed/checkpoints").glob(".step-*"))
        steps.append(max(Run(folder / "killed").checkpoints.steps(), default=0))
    print(steps, writing)
    assert steps == sorted(steps) and len(set(steps)) > 5 and writing > 5
    code, out, err = minivae("train", "--resume", "killed", cwd=folder)
    assert (code, err) == (0, "") and f"goes on in killed after step {steps[-1]} of {STEPS}" in out
    _same_as_whole(folder, "killed")
    code, out, err = minivae("train", "--resume", "killed", cwd=folder)
    assert (code, err) == (0, "") and out == "killed is finished: 12 of 12 epochs; take a larger --epochs for more\n"
