"""The table of `minivae runs`."""

from __future__ import annotations

from datetime import datetime

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

NAMES = ("run", "arch", "data", "state", "epochs", "cost = reconstruction + KL", "best", "images/s", "changed")
RIGHT = NAMES[4:8]                                              # columns of numbers
SPARE = ("images/s", "data", "arch", "changed", "best")         # left out, in this order, where the terminal is too narrow


def show(console: Console, report: list[dict]) -> None:
    """Print what listing.figures() says of each run, and below the table what is damaged."""
    rows, names = [_row(run) for run in report], list(NAMES)
    left_out = []
    table, unbounded = _table(names, rows), console.options.update(max_width=10_000)
    for name in SPARE:
        if Measurement.get(console, unbounded, table).maximum <= console.width:
            break
        names.remove(name)
        left_out.append(name)
        table = _table(names, rows)
    console.print(table)
    if left_out:
        console.print(f"no room for: {', '.join(left_out)}", soft_wrap=True, markup=False)
    for run in report:
        if run["problem"]:
            console.print(f"{run['folder']}: {run['problem']}", soft_wrap=True, markup=False)


def _table(names: list[str], rows: list[dict[str, str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right" if name in RIGHT else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[name]) for name in names))
    return table


def _row(run: dict) -> dict[str, str]:
    """The words of a run by column."""
    test, best = run["test"], run["best"]
    cells = (run["folder"], run["arch"] or "", run["data"] or "", run["state"],
             "" if run["epochs_done"] is None else f"{run['epochs_done']}/{run['epochs']}",
             f"{_number(test['total'])} = {_number(test['reconstruction'])} + {_number(test['kl'])}" if test else "",
             f"{_number(best['cost'])} ({best['epoch']}{', training' if best.get('of') else ''})" if best else "",
             "" if run["images_per_second"] is None else f"{run['images_per_second']:,.0f}",
             "" if run["changed"] is None else f"{datetime.fromisoformat(run['changed']).astimezone():%Y-%m-%d %H:%M}")
    return dict(zip(NAMES, cells, strict=True))


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"
