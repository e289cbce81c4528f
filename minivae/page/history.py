"""What the epochs gave, from a run's metrics.csv."""

from __future__ import annotations

from minivae.runs import Run
from minivae.runs.metrics import Metrics

Row = dict[str, float]
LARGEST = 1e100     # that a number can be; beyond it the arithmetic of a chart's axis might overflow


def read(run: Run) -> list[Row]:
    """A row an epoch, in ascending order: the numbers of its line by column, those that are finite and at most LARGEST,
    `epoch` among them. Of an epoch that has two lines the later one counts.

    Raises:
        MinivaeError: the file is there and cannot be read.
    """
    rows: dict[float, Row] = {}
    for line in Metrics(run.metrics).rows():
        row = {name: number for name, number in line.items() if number is not None and abs(number) <= LARGEST}
        if row.get("epoch", 0) >= 1:
            rows[row["epoch"]] = row
    return [rows[epoch] for epoch in sorted(rows)]


def column(rows: list[Row], name: str) -> list[tuple[float, float]]:
    """(epoch, value) of a column, where it has one."""
    return [(row["epoch"], row[name]) for row in rows if name in row]


def thinned(points: list, most: int) -> list:
    """At most so many of the points, evenly chosen, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]
