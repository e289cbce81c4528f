"""Times one training step of both VAEs: minivae, PyTorch, JAX, and NumPy's matrix products alone.

    pip install threadpoolctl torch jax
    python bench/versus.py [--arch ff|conv] [--batch-size N] [--peers eager,channels-last,compile,jax]
                           [--repeat 30] [--threads N] [--json FILE]

First it checks that minivae and its peers compute the same (agreement.py), and exits with 1 where they do not.
Then it times the parts in turn, in one process and on the same number of threads, and prints medians and
ratios; no time is ever right or wrong. The machine should have nothing else to do meanwhile.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version

# --threads alone decides: settings left in the environment could still bind threads to processors or let them
# spin for ever. The libraries read them when they are loaded, hence before the imports below.
THREAD_SETTINGS = ("OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "MINIVAE_THREADS", "NPROC", "PJRT_NPROC",
                   "XLA_FLAGS")
for _name in [name for name in os.environ if name.startswith(THREAD_SETTINGS)]:
    del os.environ[_name]

import needs  # noqa: E402

needs.require(__file__, __doc__, "threadpoolctl")

import agreement  # noqa: E402
import click  # noqa: E402
import numpy as np  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
from products import NumpyBlas, Products, products_of  # noqa: E402
from rich.console import Console  # noqa: E402

import minivae  # noqa: E402
from minivae import data  # noqa: E402
from minivae.bench.iterations import BATCH_SIZES, DATA, endless, train_on  # noqa: E402
from minivae.bench.timing import Part, time_all  # noqa: E402
from minivae.device import CpuDevice, cpu, default_threads, processor_name  # noqa: E402
from minivae.errors import MinivaeError, UsageError  # noqa: E402
from minivae.training.checks import check  # noqa: E402
from minivae.training.trainer import Trainer  # noqa: E402

MINIVAE, PRODUCTS = "minivae", "NumPy's products"


def facts(blas: NumpyBlas, names: list[str], device: CpuDevice) -> dict:
    """What ran where."""
    found = {"minivae": minivae.__version__, "python": platform.python_version(), "numpy": np.__version__,
             "numpy's BLAS": blas.name, **peers.versions(names), "system": platform.platform()}
    for package in ("threadpoolctl", "click", "rich"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:        # there without its metadata
            found[package] = "?"
    return {"processor": processor_name(), "processors": os.cpu_count(), "minivae_device": device.describe(),
            "threads": device.threads, "versions": found}


def compare(arch: str, batch_size: int | None, repeat: int, names: list[str], blas: NumpyBlas, device: CpuDevice,
            console: Console) -> tuple[dict, bool]:
    """(all numbers of one architecture, whether all agree); nothing is timed where they do not.

    Raises:
        UsageError: a batch that the data cannot fill.
    """
    settings, dataset = endless(arch, batch_size or BATCH_SIZES[arch]), data.load(DATA)
    check(settings, dataset)
    for name in [name for name in names if (arch, name) in peers.BY_DESIGN]:
        console.print(f"{name} is not for {arch}: {peers.BY_DESIGN[arch, name]}")
        names = [other for other in names if other != name]
    trainer = Trainer(settings, dataset, device)
    titles = {peers.TITLES[name]: name for name in names}
    singles = {title: peers.make(name, trainer.model, arch) for title, name in titles.items()}

    def in_float64(title: str, like):
        # Compiled anew it would be another program than the one that is timed, and take half a minute.
        return None if titles[title] == "compile" else peers.make(titles[title], like, arch, np.float64)

    errors = agreement.check(settings, dataset, device, in_float64, singles)
    agree = all(error.fine for error in errors)
    report.print_agreement(console, arch, errors)
    found = {"batch_size": settings.batch_size, "repeat": repeat, "agree": agree,
             "errors": [error._asdict() for error in errors]}
    if agree:
        found |= timed(trainer, singles, repeat, blas)
    return found, agree


def timed(trainer: Trainer, singles: dict, repeat: int, blas: NumpyBlas) -> dict:
    """All parts' times and the ratios, every program from the trainer's initial weights."""
    values = {name: trainer.device.to_host(p.data) for name, p in trainer.model.named_parameters()}
    products = Products(products_of(trainer.model, trainer.settings.batch_size))
    parts = [Part(MINIVAE, partial(train_on, trainer))]
    for title, peer in singles.items():
        peer.load(values)
        parts.append(Part(title, peer.stepper(trainer.optimizer, trainer.dataset.train_images,
                                              trainer.settings.batch_size)))
    parts.append(Part(PRODUCTS, products.step, before=blas.many, after=blas.one))
    time_all(parts, repeat)
    ratios = {f"{MINIVAE} / {part.name}": (MINIVAE, part.name) for part in parts[1:]}
    medians = {part.name: float(np.median(part.ms)) for part in parts}
    if of_pytorch := [peers.TITLES[name] for name in peers.PYTORCH if peers.TITLES[name] in medians]:
        best = min(of_pytorch, key=medians.get)
        ratios[f"{MINIVAE} / PyTorch's best ({best})"] = (MINIVAE, best)
    return report.report_of(parts, products.gflop, ratios)


def run(archs: list[str], batch_size: int | None, repeat: int, threads: int, asked: tuple[str, ...],
        console: Console) -> tuple[dict, bool]:
    """(all numbers, whether all agree), one architecture after the other.

    Raises:
        UsageError: a peer that was asked for cannot run, or none can.
    """
    for name in asked:
        if all((arch, name) in peers.BY_DESIGN for arch in archs):
            raise UsageError(f"{name} was asked for, but is not for {archs[0]}: {peers.BY_DESIGN[archs[0], name]}; "
                             "leave it out of --peers, or take another --arch")
    device = cpu()
    device.threads = threads
    blas = NumpyBlas(threads)       # before PyTorch is loaded, whose BLAS is then left alone
    names, unable = peers.choose(asked, threads)
    for name, why in unable.items():
        console.print(f"[bold]Left out:[/] {name}: {why}")
    all_of_it = {**facts(blas, names, device), "left_out": unable, "models": {}}
    agree = True
    for arch in archs:
        found, same = compare(arch, batch_size, repeat, names, blas, device, console)
        all_of_it["models"][arch], agree = found, agree and same
        if same:
            report.print_times(console, arch, {**all_of_it, **found})
    return all_of_it, agree


def _names(context, parameter, value: str | None) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in value.split(","))) if value is not None else ()
    for name in names:
        if name not in peers.TITLES:
            raise click.BadParameter(f"unknown peer {name!r}: take some of {','.join(peers.TITLES)}")
    return names


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--arch", type=click.Choice(list(BATCH_SIZES)), help="Which model.  [default: one after the other]")
@click.option("--batch-size", type=click.IntRange(2), help="Images a step.  [default: 1000 (ff), 128 (conv)]")
@click.option("--peers", "asked", callback=_names, metavar="NAMES", help=f"Some of {','.join(peers.TITLES)}; one "
              "that cannot run is then an error.  [default: all that can]")
@click.option("--repeat", type=click.IntRange(1), default=30, show_default=True, help="Samples of each.")
@click.option("--threads", type=click.IntRange(1), help="Threads of every part.  [default: all processors]")
@click.option("--json", "file", type=click.File("w", lazy=False), metavar="FILE",
              help="Leave all numbers there.")
def main(arch: str | None, batch_size: int | None, asked: tuple[str, ...], repeat: int, threads: int | None,
         file) -> None:
    """Time a training step: minivae, PyTorch, JAX, and the products alone in NumPy."""
    try:
        found, agree = run([arch] if arch else list(BATCH_SIZES), batch_size, repeat, threads or default_threads(),
                           asked, Console(highlight=False))
    except MinivaeError as error:
        raise click.ClickException(str(error)) from None
    if file:
        json.dump(found, file, indent=1)
    sys.exit(0 if agree else 1)


if __name__ == "__main__":
    main()
