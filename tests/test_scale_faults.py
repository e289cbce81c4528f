"""Several processes that train together: what is left when one of them dies, is stopped, or has something else in mind."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import minivae
from data_sets import idx
from mpi_program import command, environment, minivae_on, needs_mpi

from minivae import checkpoint
from minivae.device import cpu
from minivae.runs import Run

pytestmark = needs_mpi

ARGUMENTS = ["--batch-size", 9, "--hidden", 8, "--code", 3, "--device", "cpu", "--kl-warm-up", 0, "--save-every", 0]
WITHIN = 30         # seconds after a fault all processes are gone


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two small data sets."""
    folder, rng = tmp_path_factory.mktemp("scale"), np.random.default_rng(0)
    for name in ("set", "other"):
        (folder / name).mkdir()
        for part, count in (("train", 60), ("t10k", 20)):
            (folder / name / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 8, 8), np.uint8)))
            (folder / name / f"{part}-labels-idx1-ubyte").write_bytes(idx(rng.integers(0, 3, count, np.uint8)))
    return folder


class Started:
    """A training on two processes that goes on for long, once it has written its first checkpoint.

    Attributes:
        pids: of the processes, in the order of their numbers.
    """

    def __init__(self, folder: Path, name: str, program=("-m", "minivae")):
        self.run = Run(folder / name)
        self._began, out = time.monotonic(), (folder / f"{name}.out").open("w+")
        self._out = out
        arguments = ["train", "--data", "set", "--epochs", 1_000_000, *ARGUMENTS, "--out", name]
        self.process = subprocess.Popen(command(2, *program, *arguments), cwd=folder, env=environment(), stdout=out, stderr=subprocess.STDOUT)
        while not self.run.checkpoints.all():
            assert self.process.poll() is None and time.monotonic() - self._began < 60, self.said()
            time.sleep(0.02)
        self.pids = [int(number) for number in re.search(r"2 processes \((\d+), (\d+)\)", self.said()).groups()]

    def said(self) -> str:
        return Path(self._out.name).read_text()

    def ended(self) -> int:
        """The exit code of mpiexec, once all are gone, which is soon; the newest checkpoint is whole."""
        began = time.monotonic()
        code = self.process.wait(timeout=WITHIN)
        while any(map(_runs, self.pids)):
            assert time.monotonic() - began < WITHIN
            time.sleep(0.02)
        arrays, facts = checkpoint.load(self.run.checkpoint)
        assert facts["step"] > 0 and all(np.isfinite(array).all() for array in arrays.values())
        self.run.load(cpu())
        self._out.close()
        return code


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_process_ends_all(folder):
    """The launcher names it by the number that the system gave it, which the first lines say is whose."""
    started = Started(folder, "killed")
    os.kill(started.pids[1], signal.SIGKILL)
    assert started.ended() != 0
    assert str(started.pids[1]) in started.said().partition("BAD TERMINATION")[2], started.said()


# The command line with an error in one process after some steps: what nobody foresaw, or what one can mend.
BROKEN = """
import sys
from minivae.errors import MinivaeError
from minivae.training.trainer import Trainer

plain, kind = Trainer.step, {kind}
def step(trainer, number):
    if number == 40 and trainer.group.rank == 1:
        raise kind("the disk has gone")
    plain(trainer, number)

Trainer.step = step
from minivae.cli import main
main()
"""


@pytest.mark.parametrize("kind", ["MinivaeError", "RuntimeError"])
def test_an_error_in_one_process_ends_all_and_is_said(folder, kind):
    started = Started(folder, kind, ("-c", BROKEN.format(kind=kind)))
    assert started.ended() != 0
    words = started.said()
    assert "minivae: process 1 of 2" in words and "the disk has gone" in words and "process 0 of 2" not in words
    assert ("Traceback" in words) == (kind == "RuntimeError")


@pytest.mark.parametrize("whom", ["mpiexec", 1])
def test_a_signal_stops_all_after_the_same_step(folder, whom):
    """Whichever process it reaches first: one checkpoint, said once, from which one process, and three, go on."""
    name = f"stopped-{whom}"
    started = Started(folder, name)
    os.kill(started.process.pid if whom == "mpiexec" else started.pids[whom], signal.SIGTERM)
    assert started.ended() == 128 + signal.SIGTERM
    assert started.said().count("stopped after step") == 1 and f"train --resume {name}" in started.said()
    step = checkpoint.load(started.run.checkpoint)[1]["step"]
    assert f"stopped after step {step:,} of" in started.said()


# The command line with one process that is asked to stop after a step; they meet after every one.
STOPPED = """
from minivae.training import trainer as training

training.LOOK_EVERY = 0.0
plain = training.Trainer.step

def step(trainer, number):
    plain(trainer, number)
    if number == {at} and trainer.group.rank == trainer.group.size - 1:
        trainer.stop = lambda: True

training.Trainer.step = step
from minivae.cli import main
main()
"""


def test_goes_on_with_another_number_of_processes(folder):
    """A training of two, stopped in the middle of an epoch and gone on with by three and then by one, has the costs of one
    that was not stopped. Here in float32 over few steps at a small rate, so that rounding has no time to grow."""
    arguments = ["train", "--data", "set", "--epochs", 3, *ARGUMENTS, "--learning-rate", 1e-5, "--schedule", "constant"]
    assert minivae_on(2, *arguments, "--out", "whole", cwd=folder)[0] == 0
    for size, at, more in ((2, 7, [*arguments, "--out", "parts"]), (3, 13, ["train", "--resume", "parts"])):
        done = subprocess.run(command(size, "-c", STOPPED.format(at=at), *more), cwd=folder, env=environment(),
                              capture_output=True, text=True, timeout=60)
        assert f"stopped after step {at + 1} of 18" in done.stderr, done.stderr
    code, out, err = minivae_on(1, "train", "--resume", "parts", cwd=folder)
    assert code == 0, err
    whole, parts = (np.loadtxt(folder / name / "metrics.csv", delimiter=",", skiprows=1, usecols=range(1, 6))
                    for name in ("whole", "parts"))
    assert len(parts) == 3
    np.testing.assert_allclose(parts, whole, rtol=1e-4)


# The command line on two machines that have other data under one name.
ELSEWHERE = """
import json
import os
from dataclasses import replace
from minivae import data

plain = data.load

def load(*what, **how):
    found = plain(*what, **how)
    return replace(found, train_images=found.train_images[::-1].copy()) if os.environ["PMI_RANK"] == "1" else found

data.load = load
from minivae.cli import main
main()
"""


@pytest.mark.parametrize(("one", "other", "words"), [
    (["--seed", 0], ["--seed", 1], "another setting than process 0: seed = 1, not seed = 0"),
    (["--hidden", 8], ["--hidden", 300], "another setting than process 0: hidden = (300,), not hidden = (8,)"),
    (["--data", "set"], ["--data", "set"], "another data set than process 0"),
    (["--data", "set"], ["--data", "other"], "another setting than process 0: data =")])
def test_processes_that_differ_are_noticed(folder, one, other, words):
    """Before the first step, by all, said once."""
    program = ["-m", "minivae"] if one != other else ["-c", ELSEWHERE]
    run = command(1, *program, "train", *ARGUMENTS, *one)
    done = subprocess.run([*run, ":", "-n", "1", *command(1, *program, "train", *ARGUMENTS, *other)[3:]], cwd=folder,
                          env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and words in done.stderr and done.stderr.count("minivae:") == 1
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(("one", "other", "words"), [
    (["train", "--data", "set", *ARGUMENTS], ["train", "--resume", "r"], "another command than process 0: train --resume r, not train"),
    (["train", "--data", "set", *ARGUMENTS], ["eval", "r"], "another command than process 0: eval, not train"),
    (["eval", "r", "--importance", 20], ["eval", "r", "--importance", 40], "importance = 40, not importance = 20"),
    (["eval", "r"], ["eval", "s"], "runs = ('s',), not runs = ('r',)")])
def test_other_commands_are_noticed(folder, one, other, words):
    """Two that would wait for each other, or mix up their numbers: both end at once, and say it once."""
    for name in ("r", "s"):
        if not (folder / name).exists():
            minivae("train", "--data", "set", *ARGUMENTS, "--epochs", 1, "--out", name, cwd=folder)
    done = subprocess.run([*command(1, "-m", "minivae", *one), ":", "-n", "1", *command(1, "-m", "minivae", *other)[3:]],
                          cwd=folder, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and words in done.stderr and done.stderr.count("minivae:") == 1
    assert not (folder / "r" / "eval.json").exists()


def test_what_process_0_alone_finds_ends_all(folder):
    """A folder that is taken: in words, once, and without what a launcher says of processes that are killed."""
    (folder / "taken").mkdir()
    (folder / "taken" / "settings.toml").write_text("")
    code, _, err = minivae_on(2, "train", "--data", "set", *ARGUMENTS, "--out", "taken", cwd=folder)
    assert code == 2 and err.count("minivae:") == 1 and "taken already holds a run" in err and "Abort" not in err


def test_what_all_say_is_said_once(folder):
    code, out, err = minivae_on(2, "train", "--batch-size", 3, "--data", "set", "--device", "cpu", cwd=folder)
    assert code == 2 and err.count("minivae:") == 1
    assert "--batch-size is 3, but 2 processes need at least 2 images each: take at least 4" in err
    code, out, err = minivae_on(2, "train", "--no-such-option", cwd=folder)
    assert code == 2 and err.count("minivae:") == 1
    code, out, err = minivae_on(2, "summary", cwd=folder)
    assert code == 2 and "only train and eval can be run on several: start summary on one" in err


def test_a_model_is_measured_by_several(folder):
    """Every number of `minivae eval` is that of one process, but for the time."""
    assert minivae_on(2, "train", "--data", "set", "--epochs", 2, *ARGUMENTS, "--out", "measured", cwd=folder)[0] == 0
    found = []
    for size in (1, 3):
        code, out, err = minivae_on(size, "eval", "measured", "--importance", 10, "--device", "cpu", "--json",
                                    f"{size}.json", cwd=folder)
        assert code == 0, err
        found.append(json.loads((folder / f"{size}.json").read_text()))
        assert out.count("ELBO") == 1
    one, three = ({name: value for name, value in report.items() if name not in ("device", "seconds")} for report in found)
    assert one.keys() == three.keys()
    for name, value in one.items():
        if isinstance(value, dict):
            assert three[name] == pytest.approx(value, rel=1e-5), name
        else:
            assert three[name] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value), name
