"""metrics.csv: a line an epoch, whole lines only, and none of an epoch twice."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Mapping
from pathlib import Path

from minivae.errors import MinivaeError
from minivae.files import replacing

COLUMNS = ("epoch", "step", "train_cost", "test_cost", "test_reconstruction", "test_kl", "images_per_second", "seconds")
LABELLED = (*COLUMNS, "test_error")     # where there are labels


class Metrics:
    """The metrics of a run.

    Lines that could not be written are kept, and written before the next ones.

    Args:
        path: of the file; it need not exist.
    """

    def __init__(self, path: Path):
        self.path, self._waiting = path, ""

    def append(self, values: Mapping[str, object]) -> None:
        """Add a line; numbers are rounded to six digits.

        Args:
            values: by column, all of COLUMNS or all of LABELLED; None for nothing.

        Raises:
            MinivaeError: it cannot be written; the file then has whole lines only.
        """
        columns = LABELLED if "test_error" in values else COLUMNS
        if not self._waiting and not self.path.exists():
            self._waiting = _line(columns)
        self._waiting += _line([f"{values[c]:.6g}" if isinstance(values[c], float) else values[c] for c in columns])
        self.flush()

    def flush(self, sync: bool = False) -> None:
        """Write what is left to write.

        Args:
            sync: and wait until all lines are on the disk.

        Raises:
            MinivaeError: it cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                whole = file.tell()
                try:
                    file.write(self._waiting.encode())
                    file.flush()
                    if sync:
                        os.fsync(file.fileno())
                except OSError:
                    os.truncate(self.path, whole)
                    raise
        except OSError as error:
            raise MinivaeError(f"cannot write {self.path}: {error.strerror or error}; make room there, or let it be written") \
                from error
        self._waiting = ""

    def rows(self) -> list[dict[str, float | None]]:
        """What was written, by column, None where nothing stands; lines that are no such numbers are left out.

        Raises:
            MinivaeError: the file is there but cannot be read.
        """
        return [row for _, row in self._lines()]

    def cut(self, step: int) -> None:
        """Leave out the lines of epochs that ended after that step, and what is damaged.

        Raises:
            MinivaeError: the file cannot be read or written.
        """
        self._waiting = ""
        if not self.path.exists():
            return
        kept = [line for line, row in self._lines() if row["step"] <= step]
        if not kept:
            self.path.unlink()
            return
        header = _line(LABELLED if len(kept[0].split(",")) == len(LABELLED) else COLUMNS)
        if (text := header + "".join(kept)) != self._text():
            with replacing(self.path) as file:
                file.write(text.encode())

    def _text(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise MinivaeError(f"cannot read {self.path}: {error.strerror or error}; let it be read, or remove it") from error

    def _lines(self) -> list[tuple[str, dict[str, float | None]]]:
        """(line, its numbers) of every line that is whole."""
        found = []
        for line in self._text().splitlines(keepends=True):
            parts = line.rstrip("\r\n").split(",")
            columns = LABELLED if len(parts) == len(LABELLED) else COLUMNS
            try:
                row = {name: float(part) if part else None for name, part in zip(columns, parts, strict=True)}
            except ValueError:      # the header, or half a line
                continue
            if line.endswith("\n") and all(row[name] is not None and math.isfinite(row[name]) for name in COLUMNS[:2]):
                found.append((line, row))
        return found


def _line(values) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(values)
    return text.getvalue()
