"""What checkpoints cost a training: the time that writing one takes, parts and all, and the steps right after it beside those
right before, which share the disk and the processors with what the system still writes.

    python bench/checkpoint_cost.py [--arch ff|conv] [--data NAME] [--rounds N] [--steps N] [--folder FOLDER]

Also the copy of the model that is kept in memory after every epoch that is the best so far. Rounds of steps, a checkpoint and
steps, in one process; nothing else should run meanwhile. The run folder goes into --folder, whose disk is the one measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import needs

needs.require(__file__, __doc__)

import numpy as np  # noqa: E402

from minivae import checkpoint, data, fitting  # noqa: E402
from minivae.runs import Run  # noqa: E402
from minivae.runs.journal import SAVE_EVERY, Journal  # noqa: E402
from minivae.training import state  # noqa: E402


class Clock:
    """Times parts by name, once the device has done what it was given."""

    def __init__(self, trainer):
        self.trainer, self.found = trainer, {}

    def time(self, name: str, do):
        """What do() gives."""
        self.trainer.score.read()
        began = time.perf_counter()
        result = do()
        self.trainer.score.read()
        self.found.setdefault(name, []).append(time.perf_counter() - began)
        return result


def measured(trainer, rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of every round, by part."""
    clock, number = Clock(trainer), 0

    def some_steps():
        nonlocal number
        for _ in range(steps):
            trainer.step(number)
            number += 1

    some_steps()
    for _ in range(rounds):
        clock.time("steps before", some_steps)
        arrays, facts = clock.time("state: statistics of a sample, copies to the host", trainer.state)
        clock.time("of writing: checksum alone", lambda arrays=arrays: checkpoint._digest(arrays, ""))
        clock.time("write: checksum, file, sync, rename", lambda found=(arrays, facts): trainer.journal.save(*found))
        clock.time("steps after", some_steps)
        clock.time("copy of the best model", lambda: state.model_alone(trainer))
    return clock.found


def main() -> None:
    """Print the times, and their share of training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="ff")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--optimizer", default="rmsprop")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=50, help="before and after each checkpoint")
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    dataset = data.load(chosen.data)
    with tempfile.TemporaryDirectory(dir=chosen.folder, prefix="checkpoint-cost-") as folder:
        told = {"arch": chosen.arch, "data": chosen.data, "optimizer": chosen.optimizer}
        trainer = fitting.prepare(told, dataset, chosen.device, print)
        run = Run.create(trainer.settings, Path(folder) / "run")
        trainer.journal = Journal(run)
        found = measured(trainer, chosen.rounds, chosen.steps)
        size = run.checkpoint.stat().st_size
        run.release()
    print(f"{fitting.describe(trainer)}, {chosen.optimizer}; a checkpoint has {size / 1e6:,.1f} MB")
    print(f"{'milliseconds, over ' + str(chosen.rounds) + ' rounds':52} {'median':>8} {'lowest':>8} {'highest':>8}")
    for name, seconds in found.items():
        print(f"{name:52} {1e3 * np.median(seconds):8.1f} {1e3 * min(seconds):8.1f} {1e3 * max(seconds):8.1f}")
    whole = np.array(found["state: statistics of a sample, copies to the host"]) + found["write: checksum, file, sync, rename"]
    after = np.array(found["steps after"]) - found["steps before"]
    step = np.median(found["steps before"]) / chosen.steps
    epoch = step * trainer.steps_an_epoch
    print(f"a checkpoint: {1e3 * np.median(whole):.0f} ms (at most {1e3 * max(whole):.0f}); {chosen.steps} steps after it took "
          f"{1e3 * np.median(after):+.0f} ms more than before")
    print(f"that is the time of {np.median(whole) / step:.1f} steps of {1e3 * step:.1f} ms, which other work on the machine changes "
          "less")
    print(f"at one every {SAVE_EVERY:g} s: {np.median(whole + after) / SAVE_EVERY:.2%} of the training (at most "
          f"{max(whole + after) / SAVE_EVERY:.2%})")
    print(f"the copy of the best model, if every epoch is the best so far: {np.median(found['copy of the best model']) / epoch:.2%} "
          f"of an epoch's steps of {epoch:.2f} s")


if __name__ == "__main__":
    main()
