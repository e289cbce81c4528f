"""The tables of `minivae eval`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from minivae.evaluation.over_runs import NUMBERS


class Row(NamedTuple):
    """A row of the table: whose number, how it is written, and its unit."""

    label: str
    form: str
    unit: str


def table(report: dict) -> dict[str, Row]:
    """The rows of the numbers that a report has, by their names there."""
    nll = "unnormalized NLL" if report["caveat"] else "NLL"
    rows = {"elbo": Row("ELBO", ".2f", "nats/image"), "reconstruction": Row("reconstruction", ".2f", "nats/image"),
            "kl": Row("KL", ".2f", "nats/image"), "elbo_bits_per_dimension": Row("-ELBO", ".4f", "bits/dimension"),
            "nll": Row(f"{nll}, {report['importance_samples']:,} samples", ".2f", "nats/image"),
            "effective_samples": Row("effective samples, median", ",.1f", "an image"),
            "nll_bits_per_dimension": Row("NLL", ".4f", "bits/dimension"),
            "squared_error": Row("squared error", ".5f", "a pixel"),
            "active_units": Row("active units", "g", f"of {report['code']}"),
            "classification_error": Row("classification error", ".2%", "of the images"), "seconds": Row("time", ".1f", "s")}
    return {name: row for name, row in rows.items() if name in report}


def show(console: Console, report: dict) -> None:
    """Print what measures.measure() found."""
    _print(console, f"{report['images']:,} {report['split']} images of {report['data']}", "± error", rows(report), notes(report))


def show_runs(console: Console, found: dict) -> None:
    """Print what over_runs.combine() made of several reports, found["reports"]."""
    report, count = found["reports"][0], len(found["reports"])
    numbers = [(row.label, format(found["over_runs"][name]["mean"], ".2f" if row.form == "g" else row.form),
                format(found["over_runs"][name]["half_interval_95"], ".2f" if row.form == "g" else row.form), row.unit)
               for name, row in table(report).items()]
    seeds = ", ".join(map(str, found["seeds"]))
    explained = [f"± 95%: half of the mean's 95% interval over the {count} runs (seeds {seeds}) by Student's t: it holds what "
                 "differs from training to training.", *_explained(report)]
    _print(console, f"{count} runs, {report['images']:,} {report['split']} images of {report['data']}", "± 95%", numbers, explained)


def _print(console: Console, title: str, error: str, numbers: Iterable[tuple[str, str, str, str]], lines: list[str]) -> None:
    drawn = Table(title=title, title_justify="left")
    for name, justify in (("", "left"), ("mean", "right"), (error, "right"), ("", "left")):
        drawn.add_column(name, justify=justify)
    for row in numbers:
        drawn.add_row(*row)
    console.print(drawn)
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def rows(report: dict) -> list[tuple[str, str, str, str]]:
    """(what, number, standard error, unit) of every row that the report has numbers for."""
    found = []
    for name, row in table(report).items():
        part, number = NUMBERS[name], report[name]
        error = number.get("standard_error") if part else None
        found.append((row.label, format(number[part] if part else number, row.form),
                      "" if error is None else format(error, row.form), row.unit))
    return found


def notes(report: dict) -> list[str]:
    """The lines below the table."""
    lines = ["± error: the mean's standard error over the images. Squared error: of the images decoded from the mean codes."]
    if "classification_error" in report:
        low, high = report["classification_error"]["wilson_95"]
        lines.append(f"Classification error: {low:.2%} to {high:.2%} is its 95% interval over the images (Wilson), of this one "
                     "training; name several runs for one over trainings.")
    return lines + _explained(report)


def _explained(report: dict) -> list[str]:
    """What the likelihood is and is not."""
    lines = []
    if "nll" in report:
        lines.append("NLL: importance-sampled -log p(x), an upper bound that falls with the samples (Burda et al. 2016).")
        if report["classes"]:
            lines.append(f"Of the {report['classes']} classes, equally probable beforehand, it is summed out which one it is.")
            if report["bound_caveat"]:
                lines.append(f"-ELBO may be above or below the NLL: {report['bound_caveat']}.")
    if report["caveat"]:
        lines.append(f"Unnormalized: {report['caveat']}.")
    return lines
