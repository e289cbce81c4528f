"""What `minivae doctor` prints: made to be read in a terminal and pasted into a bug report."""

from __future__ import annotations

import textwrap

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

INDENT = 14     # columns for the names of facts


def show(console: Console, report: dict) -> None:
    """Print what doctor.examine() found; the verdict is the last line."""
    for name, words in report["facts"].items():
        console.print(_fact(name, words, console.width), soft_wrap=True, markup=False)
    if report["kernels"]:
        console.print()
        console.print(_results(report))
        for result in report["kernels"]:
            if result["failure"] and result["failure"] not in report["verdict"]:
                console.print(f"{result['name']}: {result['failure']}", soft_wrap=True, markup=False)
    for problem in report["problems"]:
        if problem not in report["verdict"]:
            console.print(f"problem: {problem}", soft_wrap=True, markup=False, style="yellow")
    console.print(report["verdict"], soft_wrap=True, markup=False, style="bold green" if report["works"] else "bold red")


def _fact(name: str, words: str, width: int) -> str:
    """A name and what is said of it, in lines of at most `width` where its words are not longer themselves."""
    lines = textwrap.wrap(words, max(width - INDENT, 20), break_long_words=False, break_on_hyphens=False)
    return name.ljust(INDENT) + f"\n{'':{INDENT}}".join(lines)


def _results(report: dict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left",
                  title=f"Every kernel on {report['device'].split(' ')[0]} in float32 beside {report['reference']}",
                  caption="error: the largest, relative to the largest number of its array; 0 allowed: must be exact")
    table.add_column("kernel", no_wrap=True)
    table.add_column("shapes", overflow="fold")
    for name in ("error", "allowed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for result in report["kernels"]:
        error = "-" if result["failure"] else "nan" if result["error"] is None else f"{result['error']:.0e}"
        table.add_row(result["name"], ", ".join(result["shapes"]), "0" if error == "0e+00" else error,
                      f"{result['allowed']:.0e}" if result["allowed"] else "0",
                      Text("ok", "green") if result["ok"] else Text("FAILED", "bold red"))
    return table
