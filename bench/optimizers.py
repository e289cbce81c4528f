"""Trains ff on the built-in digits with every optimizer at `minivae train`'s rate for it, and draws how the cost falls.

    python bench/optimizers.py [--epochs 20] [--optimizer NAME ...] [--seed N] [--json FILE]
    python bench/optimizers.py --out FILE.png       # with the picture; takes matplotlib (pip install matplotlib)

Everything else is as in `minivae train`, save that the rate stays constant, so that every epoch of a curve is what so
many epochs give. The costs are the same on every machine of a kind; the seconds depend on what else runs.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import NamedTuple

import needs

needs.require(__file__, __doc__)

import click  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402

from minivae import data  # noqa: E402
from minivae.cli.options import OPTIMIZERS, RATES, device_option  # noqa: E402
from minivae.data import Dataset  # noqa: E402
from minivae.device import Device, select  # noqa: E402
from minivae.errors import MinivaeError  # noqa: E402
from minivae.files import replacing  # noqa: E402
from minivae.fitting import SMALL  # noqa: E402
from minivae.runs import Settings  # noqa: E402
from minivae.terminal.report import Silence  # noqa: E402
from minivae.training.trainer import Diverged, Trainer  # noqa: E402

ARCH, DATA = "ff", "digits"
SHOWN = (1, 5, 10)      # epochs whose costs the table has, beside the last


class Curve(NamedTuple):
    """A training: the test cost after each epoch, in nats an image; fewer than were asked for where it diverged."""

    optimizer: str
    rate: float
    costs: list[float]
    seconds: float      # of training alone


def curve(optimizer: str, epochs: int, seed: int, dataset: Dataset, device: Device) -> Curve:
    """Train with that optimizer at the rate that `minivae train` takes for it."""
    rate = RATES[optimizer]
    batch_size = min(SMALL[ARCH]["batch_size"], len(dataset.train_images))
    settings = Settings(arch=ARCH, data=DATA, epochs=epochs, batch_size=batch_size, optimizer=optimizer, learning_rate=rate,
                        schedule="constant", seed=seed)
    trainer = Trainer(settings, dataset, device)
    trainer.recovery.most = 0       # the rate is what is compared
    try:
        trainer.train(Silence())
    except Diverged:
        pass            # the curve ends there
    costs = [float(epoch.test.total) for epoch in trainer.history]
    return Curve(optimizer, rate, costs, trainer.history[-1].seconds if costs else 0.0)


def ranked(curves: list[Curve]) -> list[Curve]:
    """The lowest last cost first, what diverged behind all others."""
    return sorted(curves, key=lambda c: (-len(c.costs), c.costs[-1]) if c.costs else (0, 0.0))


def table(curves: list[Curve], epochs: int) -> Table:
    """One row an optimizer, with its costs after some epochs."""
    shown = [*(number for number in SHOWN if number < epochs), epochs]
    found = Table(title="test cost after epoch, nats/image")
    for column in ("optimizer", "rate", *map(str, shown), "seconds"):
        found.add_column(column, justify="left" if column == "optimizer" else "right")
    for c in curves:
        costs = [f"{c.costs[number - 1]:.2f}" if number <= len(c.costs) else "diverged" for number in shown]
        found.add_row(c.optimizer, f"{c.rate:g}", *costs, f"{c.seconds:.1f}")
    return found


def drawing():
    """The module that draws; asked for before anything is trained.

    Raises:
        MinivaeError: matplotlib is missing.
    """
    try:
        import optimizer_curves
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "matplotlib":
            raise
        raise MinivaeError("--out draws with matplotlib, which is not installed: pip install matplotlib, or leave --out "
                           "away") from None
    return optimizer_curves


def run(names: tuple[str, ...], epochs: int, seed: int, out: str | None, file: str | None, device: Device) -> None:
    """Train with each, print the table, leave the picture and the numbers.

    Raises:
        MinivaeError: a file cannot be written, or matplotlib is missing.
    """
    draw = drawing().draw if out else None
    with replacing(out) if out else nullcontext() as picture, replacing(file) if file else nullcontext() as numbers:
        dataset, console = data.load(DATA), Console(highlight=False)
        console.print(f"{ARCH} on {len(dataset.train_images):,} {DATA}, {epochs} epochs, seed {seed}; {device.describe()}")
        curves = ranked([curve(name, epochs, seed, dataset, device)
                         for name in track(names, "training", console=console, transient=True)])
        console.print(table(curves, epochs))
        if picture:
            draw(curves, epochs, picture)
        if numbers:
            facts = {"arch": ARCH, "data": DATA, "epochs": epochs, "seed": seed, "device": device.describe()}
            numbers.write(json.dumps({**facts, "curves": [c._asdict() for c in curves]}, indent=1).encode())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="Passes over the training images.")
@click.option("--optimizer", "names", multiple=True, type=click.Choice(OPTIMIZERS), metavar="NAME",
              help="May be given several times.  [default: all]")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same costs.")
@click.option("--out", metavar="FILE", help="Draw the curves there, as a PNG; takes matplotlib.  [default: no picture]")
@click.option("--json", "file", metavar="FILE", help="Leave all numbers there.")
@device_option
def main(names: tuple[str, ...], epochs: int, seed: int, out: str | None, file: str | None, device: str) -> None:
    """Train ff on the built-in digits with each optimizer, and compare."""
    try:
        run(tuple(dict.fromkeys(names)) or OPTIMIZERS, epochs, seed, out, file, select(device)[0])
    except MinivaeError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
