"""The table of `minivae runs`."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

RIGHT = ("epochs", "test cost", "reconstruction", "KL", "best", "images/s")


def show(console: Console, report: list[dict]) -> None:
    """Print what listing.figures() says of each run, and below the table what is damaged."""
    table = Table()
    for name in ("run", "arch", "data", "state", "epochs", "test cost", "reconstruction", "KL", "best", "images/s", "changed"):
        table.add_column(name, justify="right" if name in RIGHT else "left", overflow="fold")
    for run in report:
        table.add_row(*map(Text, _row(run)))
    console.print(table)
    for run in report:
        if run["problem"]:
            console.print(f"{run['folder']}: {run['problem']}", soft_wrap=True, markup=False)


def _row(run: dict) -> list[str]:
    test, best = run["test"] or {}, run["best"]
    epochs = "" if run["epochs"] is None else f"{run['epochs_done'] or 0}/{run['epochs']}"
    return [run["folder"], run["arch"] or "", run["data"] or "", run["state"], epochs,
            *(_number(test.get(name)) for name in ("total", "reconstruction", "kl")),
            f"{_number(best['cost'])} ({best['epoch']})" if best else "",
            "" if run["images_per_second"] is None else f"{run['images_per_second']:,.0f}",
            "" if run["changed"] is None else datetime.fromisoformat(run["changed"]).astimezone().strftime("%Y-%m-%d %H:%M")]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
