"""What can be said of runs at a glance, from what lies in their folders; whatever is damaged is listed as such."""

from __future__ import annotations

import math
import os
from datetime import datetime, timezone
from pathlib import Path

from minivae.errors import MinivaeError, UsageError
from minivae.runs.folder import LOCK, Run
from minivae.runs.lock import in_use
from minivae.runs.metrics import Metrics
from minivae.runs.outcome import is_finished, is_of_training
from minivae.runs.settings import Settings

SCORE = ("total", "reconstruction", "kl", "error")
COLUMNS = ("test_cost", "test_reconstruction", "test_kl", "test_error")     # of metrics.csv, in SCORE's order


def runs_in(folder: str | os.PathLike) -> list[Run]:
    """The runs in a folder, by name; or the run that it is.

    Raises:
        UsageError: there is no such folder.
        MinivaeError: it cannot be read.
    """
    folder = Path(folder)
    if Run(folder).exists:
        return [Run(folder)]
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no folder {folder}: name one with runs in it, or make one with minivae train") from None
    except OSError as error:
        raise MinivaeError(f"cannot read {folder}: {error.strerror or error}; let it be read") from error
    return [run for run in (Run(folder / name) for name in names) if run.exists]


def figures(run: Run) -> dict[str, object]:
    """What can be said of a run.

    Returns:
        By name: folder; state ("running", "finished", "interrupted", "model" for one that was saved from Python, "damaged");
        problem (what is damaged, else None); arch, data, epochs (asked for) and epochs_done; test (SCORE by name, of the last
        epoch or of the finished model, or None); best (cost, epoch, and of "training" where there
        were no test images, or None); images_per_second (of the last epoch);
        changed (when it was written to last, UTC). What is not known is None.
    """
    found: dict[str, object] = {"folder": str(run.folder), "state": "damaged", "problem": None, "arch": None, "data": None,
                                "epochs": None, "epochs_done": None, "test": None, "best": None, "images_per_second": None,
                                "changed": _changed(run)}
    try:
        settings = run.settings()
        found |= {"arch": settings.arch, "data": settings.data, "epochs": settings.epochs}
        found |= _of_metrics(run)
        facts = run.checkpoints.facts()
    except MinivaeError as error:
        return {**found, "problem": str(error)}
    state = _state(run, settings, facts)
    done = None if state == "model" else max(found["epochs_done"] or 0, facts.get("epoch", 0) if facts else 0)
    found |= _of_facts(facts, found["best"]) if facts else {}
    return {**found, "state": state, "epochs_done": done}


def _of_metrics(run: Run) -> dict[str, object]:
    rows = Metrics(run.metrics).rows()
    if not rows:
        return {}
    last = rows[-1]
    return {"epochs_done": int(last["epoch"]), "images_per_second": _real(last["images_per_second"]),
            "test": _score({name: last.get(column) for name, column in zip(SCORE, COLUMNS, strict=True)}),
            "best": _lowest(rows, "test_cost") or _lowest(rows, "train_cost")}


def _lowest(rows: list[dict[str, float | None]], column: str) -> dict[str, object] | None:
    known = [row for row in rows if _real(row[column]) is not None]
    if not known:
        return None
    row = min(known, key=lambda row: row[column])
    return {"cost": row[column], "epoch": int(row["epoch"])} | ({} if column == "test_cost" else {"of": "training"})


def _of_facts(facts: dict, lowest: dict | None) -> dict[str, object]:
    """What a checkpoint knows better than the metrics: which are rounded, but those of a run that goes on are newer.

    Args:
        lowest: the best of the metrics.
    """
    found = {}
    if facts.get("finished") and (score := _score(facts.get("test_cost"))):
        found["test"] = score
    best = facts.get("best")
    if isinstance(best, dict) and _real(best.get("cost")) is not None:
        if lowest is None or best["cost"] < lowest["cost"] or best.get("epoch") == lowest["epoch"]:
            found["best"] = {**(lowest or {}), "cost": best["cost"], "epoch": best.get("epoch")}
    return found


def _score(parts) -> dict[str, float | None] | None:
    """A score by name, if these are the parts of one."""
    if not isinstance(parts, dict) or _real(parts.get("total")) is None:
        return None
    return {name: _real(parts.get(name)) for name in SCORE}


def _real(value) -> float | None:
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def _state(run: Run, settings: Settings, facts: dict | None) -> str:
    if in_use(run.folder / LOCK):
        return "running"
    if facts and not is_of_training(facts):
        return "model"
    return "finished" if facts and is_finished(facts, settings) else "interrupted"


def _changed(run: Run) -> str | None:
    """When something of the run was written last, by the clock of then."""
    times = []
    for path in (run.folder / "settings.toml", run.metrics, *run.checkpoints.folder.glob("*.safetensors")):
        try:
            times.append(path.stat().st_mtime)
        except OSError:     # gone in the meantime
            continue
    return datetime.fromtimestamp(max(times), timezone.utc).isoformat(timespec="seconds") if times else None
