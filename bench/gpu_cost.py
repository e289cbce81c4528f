"""Counts what a training step costs on a GPU, on a machine without one, and predicts its time from that.

    python bench/gpu_cost.py [--arch ff|conv] [--markdown]
    pip install torch     # once, to see PyTorch's number of launches too

The launches are those of minivae's CUDA branch at full size (recorder.py). Bytes are what each launch must read from
memory and write to it, each array once; floating-point operations are those of the matrix products, beside which the
kernels' own are few. Predicted, not measured: a launch takes the longest of LAUNCH seconds, its bytes at the GPU's
bandwidth and its operations at the GPU's rate, and launches follow each other. Bandwidth and rates are the vendor's
peaks, which no kernel reaches; on the other hand what one launch leaves in the GPU's cache the next need not read. A step
cannot take less than Python takes to make its launches; that part is measured here, without CuPy's own share.
"""

from __future__ import annotations

import math
import statistics
import time
from importlib.util import find_spec
from typing import NamedTuple

import needs

needs.require(__file__, __doc__)

import click  # noqa: E402
import recorder  # noqa: E402

from minivae import data, trace, traffic  # noqa: E402
from minivae.bench.iterations import BATCH_SIZES, DATA, endless, train_on  # noqa: E402
from minivae.gpu.errors import pip  # noqa: E402
from minivae.training.trainer import Trainer  # noqa: E402

LAUNCH = 3e-6       # seconds from one kernel to the next at least: what the queue of a stream takes
PRODUCTS = "products (cuBLAS)"
STEPS = 50          # are timed to see what Python takes


class Gpu(NamedTuple):
    """A GPU by its data sheet: bytes/s, and floating-point operations/s of products in float32 and in TF32, both dense."""

    name: str
    bandwidth: float
    float32: float
    tf32: float


GPUS = (Gpu("H100 SXM", 3.35e12, 67e12, 494.7e12), Gpu("RTX 4090", 1.008e12, 82.6e12, 82.6e12))


class Launch(NamedTuple):
    """One launch: the kernel's name, bytes read and written, floating-point operations of a product."""

    kernel: str
    read: int
    written: int
    flops: int

    def seconds(self, gpu: Gpu, tf32: bool = False) -> float:
        """The predicted time."""
        return max(LAUNCH, (self.read + self.written) / gpu.bandwidth, self.flops / (gpu.tf32 if tf32 else gpu.float32))


def launches(arch: str) -> list[Launch]:
    """Every launch of one training step, CuPy's own last."""
    dataset = data.load(DATA)
    with recorder.in_cupys_place() as (device, own):
        trainer = Trainer(endless(arch, BATCH_SIZES[arch]), dataset, device)
        train_on(trainer)       # a first step takes memory that the next ones reuse
        own.clear()
        with trace.recording() as record:
            train_on(trainer)
        return [_launch(call) for call in record.calls] + [Launch(o.name, o.read, o.written, 0) for o in own]


def python_ms(arch: str) -> float:
    """Milliseconds that Python takes on this machine to make the calls of a step, CuPy's own work apart: the median."""
    with recorder.in_cupys_place() as (device, _):
        trainer = Trainer(endless(arch, BATCH_SIZES[arch]), data.load(DATA), device)
        return 1e3 * statistics.median(_seconds(trainer) for _ in range(STEPS))


def _seconds(trainer: Trainer) -> float:
    began = time.perf_counter()
    train_on(trainer)
    return time.perf_counter() - began


def _launch(call: trace.Call) -> Launch:
    if call.product is None:
        return Launch(call.kernel, *traffic.bytes_of(call.kernel, call.arguments), 0)
    elements = [math.prod(operand.shape) for operand in (call.product.a, call.product.b, call.product.out)]
    size = call.product.dtype.itemsize
    return Launch(PRODUCTS, size * (elements[0] + elements[1]), size * elements[2], call.product.flops)


def pytorch(arch: str) -> int | None:
    """How many kernels PyTorch's eager step launches; None without PyTorch."""
    if find_spec("torch") is None:
        return None
    import torch_launches
    return sum(torch_launches.of_a_step(arch).values())


# ---- tables ----

HEADER = ("kernel", "launches", "MB read", "MB written", "GFLOP", *(f"us on {gpu.name}" for gpu in GPUS),
          *(f"with TF32, {gpu.name}" for gpu in GPUS if gpu.tf32 > gpu.float32))


def rows(made: list[Launch]) -> list[tuple[str, ...]]:
    """The table's rows, the longest on the first GPU first, those of a single short launch together; and the total."""
    names = dict.fromkeys(launch.kernel for launch in made)
    groups = {name: [launch for launch in made if launch.kernel == name] for name in names}
    short = {name for name, group in groups.items() if sum(launch.seconds(GPUS[0]) for launch in group) <= LAUNCH}
    shown = sorted(((name, group) for name, group in groups.items() if name not in short),
                   key=lambda group: -sum(launch.seconds(GPUS[0]) for launch in group[1]))
    others = [launch for launch in made if launch.kernel in short]
    return [_row(*group) for group in (*shown, (f"{len(short)} others", others), ("all", made))]


def _row(name: str, group: list[Launch]) -> tuple[str, ...]:
    times = [sum(launch.seconds(gpu) for launch in group) for gpu in GPUS]
    times += [sum(launch.seconds(gpu, tf32=True) for launch in group) for gpu in GPUS if gpu.tf32 > gpu.float32]
    return (name, str(len(group)), f"{sum(launch.read for launch in group) / 1e6:.1f}",
            f"{sum(launch.written for launch in group) / 1e6:.1f}", f"{sum(launch.flops for launch in group) / 1e9:.2f}",
            *(f"{1e6 * time:.0f}" for time in times))


def table(made: list[Launch], markdown: bool) -> str:
    """The rows as text or as a Markdown table."""
    lines = [HEADER, *rows(made)]
    if markdown:
        lines.insert(1, ("---", *["---:"] * (len(HEADER) - 1)))
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEADER))]
    return "\n".join("  ".join(cell.rjust(width) if i else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(line, widths, strict=True))) for line in lines)


def summary(arch: str, made: list[Launch]) -> str:
    """Launches by who makes them, beside PyTorch's."""
    products = sum(launch.kernel == PRODUCTS for launch in made)
    cupys = sum(launch.kernel.startswith("cupy ") for launch in made)
    theirs = pytorch(arch)
    beside = f"PyTorch is missing: {pip()} install torch" if theirs is None else f"PyTorch eager: at least {theirs}"
    return (f"{arch}, batch {BATCH_SIZES[arch]}: {len(made)} launches ({len(made) - products - cupys} of minivae's kernels, "
            f"{products} products, {cupys} of CuPy's own); {beside}; Python takes {python_ms(arch):.1f} ms to make them")


@click.command()
@click.option("--arch", type=click.Choice((*BATCH_SIZES, "both")), default="both", show_default=True)
@click.option("--markdown", is_flag=True, help="Print Markdown tables, as in docs/gpu.md.")
def main(arch: str, markdown: bool) -> None:
    """Count what a training step costs on a GPU, and predict its time."""
    for name in BATCH_SIZES if arch == "both" else (arch,):
        made = launches(name)
        click.echo(f"{summary(name, made)}\n\n{table(made, markdown)}\n")
    click.echo("Predicted, not measured: for each launch the longest of 3 us, its bytes at full bandwidth and its operations "
               "at the full rate.")


if __name__ == "__main__":
    main()
