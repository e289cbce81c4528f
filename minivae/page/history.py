"""What the epochs gave, from a run's metrics.csv."""

from __future__ import annotations

import csv
from pathlib import Path

from minivae.errors import MinivaeError

Row = dict[str, float]
LARGEST = 1e100     # that a number can be; beyond it the arithmetic of a chart's axis might overflow


def read(path: Path) -> list[Row]:
    """A row an epoch, in ascending order: the line's numbers by column, those that are finite and at most LARGEST, `epoch` among them. Of an epoch that has two
    lines the later one counts; lines without an epoch, such as one that was cut short at its first number, are left out. No
    file is no epoch.

    Raises:
        MinivaeError: the file is there and cannot be read.
    """
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MinivaeError(f"cannot read {path}: {error.strerror}; make it readable") from error
    rows: dict[float, Row] = {}
    for line in csv.DictReader(text.replace("\0", "").splitlines()):
        row = {name: number for name, value in line.items() if name and (number := _number(value)) is not None}
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


def _number(text: object) -> float | None:
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if abs(number) <= LARGEST else None
