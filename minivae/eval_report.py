"""The table and the progress bar of `minivae eval`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table


@contextmanager
def progress(console: Console, total: int, shown: bool = True) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; gives the function that is to be told how many more of `total` codes are decoded."""
    bar = Progress(TextColumn("importance sampling"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
                   TextColumn("left"), TimeRemainingColumn(), console=console, transient=True,
                   disable=not (shown and console.is_terminal))
    with bar:
        task = bar.add_task("", total=max(total, 1))
        yield lambda decoded: bar.update(task, advance=decoded)


def show(console: Console, report: dict) -> None:
    """Print what measures.measure() found."""
    table = Table(title=f"{report['images']:,} {report['split']} images of {report['data']}", title_justify="left")
    table.add_column("")
    table.add_column("mean", justify="right")
    table.add_column("± error", justify="right")
    table.add_column("")
    for label, mean, error, unit in rows(report):
        table.add_row(label, mean, error, unit)
    console.print(table)
    for line in notes(report):
        console.print(line, soft_wrap=True, markup=False)


def rows(report: dict) -> list[tuple[str, str, str, str]]:
    """(what, number, standard error, unit) of every row that the report has numbers for."""
    found = []

    def add(label: str, number: dict, unit: str) -> None:
        error = number["standard_error"]
        found.append((label, f"{number['mean']:.2f}", "" if error is None else f"{error:.2f}", unit))

    add("ELBO", report["elbo"], "nats/image")
    add("reconstruction", report["reconstruction"], "nats/image")
    add("KL", report["kl"], "nats/image")
    if "elbo_bits_per_dimension" in report:
        found.append(("-ELBO", f"{report['elbo_bits_per_dimension']:.4f}", "", "bits/dimension"))
    if "nll" in report:
        kind = "unnormalized NLL" if report["caveat"] else "NLL"
        add(f"{kind}, {report['importance_samples']:,} samples", report["nll"], "nats/image")
        found.append(("effective samples, median", f"{report['effective_samples']['median']:,.1f}", "", "an image"))
    if "nll_bits_per_dimension" in report:
        found.append(("NLL", f"{report['nll_bits_per_dimension']:.4f}", "", "bits/dimension"))
    found.append(("squared error", f"{report['squared_error']:.5f}", "", "a pixel"))
    found.append(("active units", f"{report['active_units']}", "", f"of {report['code']}"))
    if "classification_error" in report:
        error = report["classification_error"]
        found.append(("classification error", f"{error['mean']:.2%}",
                      "" if error["standard_error"] is None else f"{error['standard_error']:.2%}", "of the images"))
    found.append(("time", f"{report['seconds']['all']:.1f}", "", "s"))
    return found


def notes(report: dict) -> list[str]:
    """The lines below the table."""
    lines = ["± error: the mean's standard error over the images. Squared error: of the images decoded from the mean codes."]
    if "nll" in report:
        lines.append("NLL: importance-sampled -log p(x), an upper bound that falls with the samples (Burda et al. 2016).")
    if report["caveat"]:
        lines.append(f"Unnormalized: {report['caveat']}.")
    return lines
