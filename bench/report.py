"""What a comparison leaves: all numbers for the JSON file, and tables for the terminal."""

from __future__ import annotations

import numpy as np
from agreement import KINDS, Error
from rich.console import Console
from rich.table import Table

from minivae.bench.timing import STEPS, Part, spread

OTHERS = 0.1        # processors in use by other programs from which on the times are to be doubted
HEADINGS = {"cost": "costs", "gradient": "gradients", "change": "step"}


def report_of(parts: list[Part], gflop: float, ratios: dict[str, tuple[str, str]]) -> dict:
    """All numbers of the timing.

    Args:
        gflop: of a step's matrix products; the rest of a step is not counted.
        ratios: title to names of parts, (numerator, denominator); taken in each round, so that a slow minute cancels.
    """
    ms = {part.name: part.ms for part in parts}
    report = {"gflop_of_products": gflop, "steps_per_sample": STEPS, "parts": {}, "ratios": {}}
    for part in parts:
        own = float(np.mean([sample.own for sample in part.samples]))
        known = [sample.others for sample in part.samples if sample.others is not None]
        report["parts"][part.name] = {
            "unit": "ms/step", **spread(part.ms), "gflop_per_s": float(gflop / np.median(part.ms) * 1e3),
            "processors": own, "processors_of_others": float(np.mean(known)) if known else None,
            "samples": [sample._asdict() for sample in part.samples]}
    for title, (above, below) in ratios.items():
        values = ms[above] / ms[below]
        report["ratios"][title] = {**spread(values), "samples": values.tolist()}
    return report


def print_agreement(console: Console, arch: str, errors: list[Error]) -> None:
    """The largest error of each program in each kind of thing, and every one that is too large."""
    table = Table(title=f"{arch}: largest relative errors against minivae in float64")
    for column in ("", "in", *HEADINGS.values(), "worst gradient"):
        table.add_column(column, justify="right" if column in HEADINGS.values() else "left", overflow="fold")
    for program, dtype in dict.fromkeys((error.program, error.dtype) for error in errors):
        own = [error for error in errors if (error.program, error.dtype) == (program, dtype)]
        worst = [max((error for error in own if error.kind == kind), key=lambda error: (not error.fine, error.value))
                 for kind in KINDS]
        table.add_row(program, dtype, *(f"{error.value:.1e}" for error in worst), worst[KINDS.index("gradient")].name)
    console.print(table)
    for error in errors:
        if not error.fine:
            console.print(f"{HEADINGS[error.kind]}, {error.name}: {error.program} in {error.dtype} is off by "
                          f"{error.value:.1e}, more than {error.tolerance:g}")


def print_times(console: Console, arch: str, report: dict) -> None:
    """The table of medians, and the ratios."""
    table = Table(title=f"{arch}: one training step of {report['batch_size']} images on {report['threads']} threads, "
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
