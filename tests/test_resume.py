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
from data_sets import random_set

from minivae.runs import Run
from minivae.runs.metrics import Metrics
from minivae.training.events import TAGS

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
             "--warm-up", 0.5, "--kl-warm-up", 3, "--free-bits", 0.2, "--device", "cpu"]
STEPS = 84


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a small data set, and in `whole` a run on it that was not stopped."""
    folder = tmp_path_factory.mktemp("resume")
    random_set(folder / "set", 60, 20)
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
        time.sleep(moments.uniform(0, 0.12))        # in all half of what the training takes
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        writing += any((folder / "killed/checkpoints").glob(".step-*"))
        steps.append(max(Run(folder / "killed").checkpoints.steps(), default=0))
    assert steps == sorted(steps) and len(set(steps)) > 5 and writing > 5
    code, out, err = minivae("train", "--resume", "killed", cwd=folder)
    assert (code, err) == (0, "") and f"goes on in killed after step {steps[-1]} of {STEPS}" in out
    _same_as_whole(folder, "killed")
    code, out, err = minivae("train", "--resume", "killed", cwd=folder)
    assert (code, err) == (0, "") and out == "killed is finished: 12 of 12 epochs; take a larger --epochs for more\n"


def _wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come to that")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_by_a_signal(folder, number, code):
    """The step is finished, a checkpoint written, and said how to go on, which gives the same bits."""
    name = f"signal {code}"
    process = _start(folder, "train", "--data", "set", *ARGUMENTS, "--out", name, "--save-every", 0)
    _wait_for(lambda: len(Run(folder / name).checkpoints.steps()) == 2)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in err
    word, stopped, kept = err.strip().splitlines()
    step = Run(folder / name).checkpoints.steps()[0]
    assert "once more to leave at once" in word and stopped.startswith(f"minivae: stopped after step {step} of 84 (epoch ")
    assert kept.endswith(f"`minivae train --resume '{name}'` goes on") and not list((folder / name).rglob(".*"))
    code, _, err = minivae("train", "--resume", name, cwd=folder)
    assert (code, err) == (0, "")
    _same_as_whole(folder, name)


def test_a_pipe_that_closes(folder):
    """Whose reader has read enough (`| head`), of the errors, too: a checkpoint of that moment is written, and goes on."""
    command = [sys.executable, "-m", "minivae", "train", "--data", "set", *map(str, ARGUMENTS), "--out", "piped"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    process.stdout.readline()
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 1 and 0 < Run(folder / "piped").checkpoints.steps()[0] < STEPS
    assert minivae("train", "--resume", "piped", cwd=folder)[0] == 0
    _same_as_whole(folder, "piped")


def test_stopped_at_once_by_a_second_signal(folder):
    """While the checkpoint is written that the first one asked for: the one before is whole, nothing half-written stays."""
    process = _start(folder, "train", "--data", "set", *ARGUMENTS, "--out", "twice", "--save-every", 0,
                     program=SLOW.replace("0.002", "0.2"))
    run = Run(folder / "twice")
    _wait_for(run.checkpoints.steps)
    process.send_signal(signal.SIGINT)
    assert "once more to leave at once" in process.stderr.readline() + process.stderr.readline()
    began, steps = time.monotonic(), run.checkpoints.steps()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and err.startswith("\nminivae: stopped\n") and "Traceback" not in err
    assert time.monotonic() - began < 1.5 and run.checkpoints.steps() == steps and not list(run.folder.rglob(".*"))
    assert minivae("train", "--resume", "twice", cwd=folder)[0] == 0
    _same_as_whole(folder, "twice")


# The command line, slow where it takes the fixed-point statistics at the end, and where it draws.
SLOW_END = """
import sys, time
from minivae.pictures import drawing
from minivae.training import trainer as training

def slow(module, name, word):
    plain = getattr(module, name)
    def slowed(*arguments):
        print(word, file=sys.stderr, flush=True)
        time.sleep(0.3)
        return plain(*arguments)
    setattr(module, name, slowed)

slow(training.Trainer, "_asked", "passes")
slow(drawing, "all_of", "drawing")
from minivae.cli import main
main()
"""


@pytest.mark.parametrize("moment", ["passes", "drawing"])
def test_stopped_after_the_last_step(folder, moment):
    """Within the passes for the statistics, or while drawing: what was left to do is done by going on."""
    process = _start(folder, "train", "--data", "set", *ARGUMENTS, "--out", moment, program=SLOW_END)
    for line in process.stderr:
        if line == f"{moment}\n":
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err and f"`minivae train --resume {moment}` goes on" in err
    code, out, err = minivae("train", "--resume", moment, cwd=folder)
    assert (code, err) == (0, "") and ("is finished" in out) == (moment == "drawing")
    _same_as_whole(folder, moment)


def test_events_for_tensorboard(folder):
    """What metrics.csv has, an event a number; of a run that goes on, none twice, though the first part was without."""
    from tensorboardX.proto.event_pb2 import Event

    process = _start(folder, "train", "--data", "set", *ARGUMENTS, "--out", "events", "--save-every", 0)
    _wait_for(lambda: max(Run(folder / "events").checkpoints.steps(), default=0) > 20)
    process.kill()
    process.communicate()
    code, _, err = minivae("train", "--resume", "events", "--tensorboard", cwd=folder)
    assert (code, err) == (0, "")
    [path] = (folder / "events" / "events").iterdir()
    content, found, place = path.read_bytes(), [], 0
    while place < len(content):         # length, its checksum, event, checksum
        size = int.from_bytes(content[place:place + 8], "little")
        event = Event.FromString(content[place + 12:place + 12 + size])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        place += 12 + size + 4
    rows = Metrics(folder / "events/metrics.csv").rows()
    assert len(rows) == 12 and len(found) == 12 * 5
    for (step, tag, value), (row, name) in zip(found, ((row, name) for row in rows for name in TAGS if name in row), strict=True):
        assert (step, tag) == (row["step"], TAGS[name]) and value == pytest.approx(row[name], rel=1e-5)


def test_tensorboard_where_its_package_is_missing(folder):
    done = subprocess.run([sys.executable, "-c", "import sys; sys.modules['tensorboardX'] = None; from minivae.cli import main; "
                           "main()", "train", "--tensorboard", "--out", "none"], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 2 and not (folder / "none").exists()
    assert done.stderr == ("minivae: --tensorboard needs a package that is missing: pip install 'minivae[tensorboard]', or pip "
                           "install tensorboardX\n")
