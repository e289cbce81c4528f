"""The page of a run folder, from what is in it."""

from __future__ import annotations

from pathlib import Path

from minivae.data import Dataset
from minivae.evaluation.evaluate import Score
from minivae.models import VAE
from minivae.page import facts, history
from minivae.page.content import content
from minivae.page.facts import Facts
from minivae.page.looks import look
from minivae.page.writing import write
from minivae.runs import Run, Settings, versions
from minivae.runs.outcome import is_finished


def write_for(run: Run, model: VAE, settings: Settings, told: dict, dataset: Dataset | None,
              note: str | None = None) -> Path:
    """Write the page of a run anew, from its checkpoint and its metrics.

    Args:
        model, settings, told: see Run.load_with_facts.
        dataset: whose images are shown; None for a page without.
        note: what is to be said of them; None for nothing.

    Returns:
        Where the page is.

    Raises:
        MinivaeError: the metrics cannot be read, or the page not be written.
    """
    epoch, score = told.get("epoch"), told.get("test_cost")
    rows = [row for row in history.read(run) if epoch is None or row["epoch"] <= epoch]
    train_count, test_count = facts.counts(dataset if dataset and dataset.name == settings.data else None)
    known = Facts(name=run.folder.resolve().name, settings=settings, state=_state(settings, told), epoch=epoch or 0,
                  rows=rows, score=score and Score(**score), image_shape=model.image_shape, train_count=train_count,
                  test_count=test_count, parameters=facts.parameters(model), note=note,
                  surroundings=facts.surroundings(versions.read(run.versions) or [{"minivae": told.get("minivae")}]))
    write(run.page, {**content(known, look(model, dataset, settings.seed)), "cost": None})
    return run.page


def _state(settings: Settings, told: dict) -> str:
    if "epoch" not in told:
        return facts.SAVED
    return facts.FINISHED if is_finished(told, settings) else facts.STOPPED
