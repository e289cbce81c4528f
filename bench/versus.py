"""Times one training step of the feed-forward VAE: minivae, PyTorch eager, and NumPy's matrix products alone.

    pip install torch
    python bench/versus.py [--batch-size 1000] [--repeat 30] [--threads N] [--json FILE]

First it checks that minivae and PyTorch compute the same (agreement.py), and exits with 1 where they do not.
Then it times the parts in turn, in one process and on the same number of threads, and prints medians and
ratios; no time is ever right or wrong. The machine should have nothing else to do meanwhile.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# --threads alone decides: settings left in the environment could still bind threads to processors or let them
# spin for ever. The libraries read them when they are loaded, hence before the imports below.
THREAD_SETTINGS = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "MINIVAE_THREADS")
for _name in [name for name in os.environ if name.startswith(THREAD_SETTINGS)]:
    del os.environ[_name]
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click  # noqa: E402
import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from timing import NumpyBlas, Products, report_of  # noqa: E402

import minivae  # noqa: E402
from minivae import data  # noqa: E402
from minivae.device import CpuDevice, cpu, default_threads, processor_name  # noqa: E402
from minivae.errors import MinivaeError  # noqa: E402
from minivae.runs import Settings  # noqa: E402
from minivae.timing import Part, time_all  # noqa: E402
from minivae.training import Trainer  # noqa: E402

MINIVAE, TORCH, PRODUCTS = "minivae", "PyTorch eager", "NumPy's products"
OTHERS = 0.1        # processors in use by other programs from which on the times are to be doubted


def new_trainer(batch_size: int, device: CpuDevice) -> Trainer:
    """A fresh feed-forward VAE with its optimizer, on the built-in digits; it never comes to an end."""
    settings = Settings(epochs=1_000_000, batch_size=batch_size, schedule="constant")
    return Trainer(settings, data.load(settings.data), device)


def minivae_part(trainer: Trainer) -> Part:
    """Training steps as `minivae train` makes them."""
    return Part(MINIVAE, lambda: trainer.step(trainer.optimizer.steps))


def torch_part(peer_torch, trainer: Trainer) -> Part:
    """The same steps from the same initial weights."""
    model = peer_torch.FeedForward(trainer.model)
    optimizer = peer_torch.RMSProp(model.parameters(), trainer.optimizer)
    stepper = peer_torch.Stepper(model, optimizer, trainer.dataset.train_images, trainer.settings.batch_size)
    return Part(TORCH, stepper.step)


def products_of(trainer: Trainer) -> Products:
    """The products of the trainer's step, in the order of the forward pass."""
    model = trainer.model
    layers = (*model.encoder, model.heads, *model.decoder)
    return Products([layer.weight.shape for layer in layers], trainer.settings.batch_size)


def facts(blas: NumpyBlas, peer_torch, device: CpuDevice) -> dict:
    """What ran where."""
    found = {"minivae": minivae.__version__, "python": platform.python_version(), "numpy": np.__version__,
             "numpy's BLAS": blas.name, **peer_torch.versions(), "system": platform.platform()}
    for package in ("threadpoolctl", "click", "rich"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:        # there without its metadata
            found[package] = "?"
    return {"processor": processor_name(), "processors": os.cpu_count(), "minivae_device": device.describe(),
            "versions": found}


def print_agreement(console: Console, errors: list, tolerance: float) -> None:
    """The largest error of each kind, and every one that is too large."""
    table = Table(title="Relative error of float32 against float64 (PyTorch)")
    for column in ("", "minivae", "PyTorch", "minivae's worst at"):
        table.add_column(column, justify="left" if column in ("", "minivae's worst at") else "right")
    kinds = {"cost": "cost", "gradient": "gradients", "change": "optimizer step"}
    for kind, title in kinds.items():
        group = [error for error in errors if error.kind == kind]
        worst = max(group, key=lambda error: (not error.fine, error.minivae))
        table.add_row(title, f"{worst.minivae:.1e}", f"{max(error.torch for error in group):.1e}", worst.name)
    console.print(table)
    for error in errors:
        if not error.fine:
            console.print(f"{kinds[error.kind]} of {error.name}: minivae is off by {error.minivae:.1e}, "
                          f"more than {tolerance:g}")


def print_times(console: Console, report: dict) -> None:
    """The table of medians, and the ratios."""
    table = Table(title=f"One training step of {report['batch_size']} images on {report['threads']} threads, "
                        f"{report['repeat']} rounds", caption=report["processor"])
    for column in ("", "ms (median)", "10% - 90%", "GFLOP/s", "processors"):
        table.add_column(column, justify="right" if column else "left")
    for name, part in report["parts"].items():
        table.add_row(name, f"{part['median']:.1f}", f"{part['p10']:.1f} - {part['p90']:.1f}",
                      f"{part['gflop_per_s']:.0f}", f"{part['processors']:.2f}")
    console.print(table)
    console.print(f"GFLOP/s counts the matrix products only: {report['gflop_of_products']:.2f} GFLOP a step")
    for name, ratio in report["ratios"].items():
        console.print(f"{name}: [bold]{ratio['median']:.2f}[/]  ({ratio['p10']:.2f} - {ratio['p90']:.2f})")
    others = max(part["processors_of_others"] or 0 for part in report["parts"].values())
    if others > OTHERS:
        console.print(f"[bold]Others used {others:.1f} processors meanwhile:[/] measure again without "
                      "them; OpenMP's threads wait for each other, so PyTorch suffers most.")


def import_peer():
    """(peer_torch, agreement), which need PyTorch.

    Raises:
        MinivaeError: it is missing.
    """
    try:
        import torch  # noqa: F401 - first, so that no other missing import is mistaken for it
    except ImportError as error:
        raise MinivaeError(f"PyTorch is missing, to compare with: pip install torch ({error})") from error
    import agreement
    import peer_torch
    return peer_torch, agreement


def compare(batch_size: int, repeat: int, threads: int, console: Console) -> tuple[dict, bool]:
    """(all numbers, whether minivae and PyTorch agree); nothing is timed where they do not."""
    device = cpu()
    device.threads = threads
    blas = NumpyBlas(threads)
    peer_torch, agreement = import_peer()
    peer_torch.use_threads(threads)
    errors = agreement.check(new_trainer(batch_size, device))
    agree = all(error.fine for error in errors)
    print_agreement(console, errors, agreement.TOLERANCE)
    report = {"batch_size": batch_size, "threads": threads, "repeat": repeat,
              **facts(blas, peer_torch, device), "agree": agree, "tolerance": agreement.TOLERANCE,
              "errors": [error._asdict() for error in errors]}
    if agree:
        trainer = new_trainer(batch_size, device)
        products = products_of(trainer)
        parts = [minivae_part(trainer), torch_part(peer_torch, trainer),
                 Part(PRODUCTS, products.step, before=blas.many, after=blas.one)]
        time_all(parts, repeat)
        report |= report_of(parts, products.gflop, [(MINIVAE, TORCH), (MINIVAE, PRODUCTS)])
        print_times(console, report)
    return report, agree


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--batch-size", type=click.IntRange(2), default=1000, show_default=True, help="Images a step.")
@click.option("--repeat", type=click.IntRange(1), default=30, show_default=True, help="Samples of each.")
@click.option("--threads", type=click.IntRange(1), help="Threads of every part.  [default: all processors]")
@click.option("--json", "file", type=click.File("w", lazy=False), metavar="FILE",
              help="Leave all numbers there.")
def main(batch_size: int, repeat: int, threads: int | None, file) -> None:
    """Time a training step of the feed-forward VAE: minivae, PyTorch, and the products alone in NumPy."""
    try:
        report, agree = compare(batch_size, repeat, threads or default_threads(), Console(highlight=False))
    except MinivaeError as error:
        raise click.ClickException(str(error)) from None
    if file:
        json.dump(report, file, indent=1)
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
