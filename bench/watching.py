"""What it costs to watch a training: the copy that it can go back to, the look at its parameters and at its code after every
epoch, and the measurement of its memory before the first step; each beside an epoch, in one process.

    python bench/watching.py [--arch ff|conv] [--repeat 10]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import needs

needs.require(__file__, __doc__)

import click  # noqa: E402

from minivae import data, device, fitting  # noqa: E402
from minivae.training import fit_batch, snapshot  # noqa: E402
from minivae.training.collapse import active_units  # noqa: E402
from minivae.training.trainer import SAMPLED  # noqa: E402

STEPS = 10      # are timed, of an epoch's


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@click.command(help=__doc__)
@click.option("--arch", default="ff", show_default=True)
@click.option("--repeat", default=10, show_default=True)
def main(arch: str, repeat: int) -> None:
    where = device.cpu()
    trainer = fitting.prepare({"arch": arch}, data.load(), where, print)
    kept = snapshot.Snapshot(trainer.model, trainer.flat, trainer.optimizer, trainer.schedule, trainer.average)

    def steps():
        for _ in range(STEPS):
            trainer.step(trainer.optimizer.steps)

    def evaluation():
        with trainer.evaluated():
            trainer._sample_statistics(SAMPLED)
            trainer._test_score()

    parts = {"steps": steps, "evaluation": evaluation, "copy": kept.take, "parameters": trainer._check_parameters,
             "code": lambda: active_units(trainer.model, trainer.train_images), "memory": lambda: fit_batch.plan(trainer)}
    for work in parts.values():
        work()
    took = {name: [] for name in parts}
    for _ in range(repeat):
        for name, work in parts.items():
            took[name].append(seconds(work))
    took["steps"] = [each * trainer.steps_an_epoch / STEPS for each in took["steps"]]
    epoch = [a + b for a, b in zip(took["steps"], took["evaluation"], strict=True)]
    for name in parts:
        shares = [100 * each / whole for each, whole in zip(took[name], epoch, strict=True)]
        click.echo(f"{name:>10}  {1e3 * statistics.median(took[name]):9.2f} ms  {statistics.median(shares):6.2f}% of an epoch")
    watching = [100 * sum(parts) / whole for *parts, whole in zip(took["copy"], took["parameters"], took["code"], epoch, strict=True)]
    click.echo(f"watching an epoch: {statistics.median(watching):.2f}% of it; measuring the memory: once a training of "
               f"{trainer.settings.epochs} epochs")


if __name__ == "__main__":
    main()
