"""The page of a run folder, from what is in it."""

from __future__ import annotations

from pathlib import Path

from minivae import checkpoint
from minivae.data import Dataset
from minivae.evaluate import Score
from minivae.models import VAE
from minivae.page import facts, history
from minivae.page.content import content
from minivae.page.facts import Facts
from minivae.page.looks import look
from minivae.page.writing import NAME, write
from minivae.runs import Run, Settings


def write_for(run: Run, model: VAE, settings: Settings, dataset: Dataset | None, trouble: str | None = None) -> Path:
    """Write the page of a run anew, from its checkpoint and its metrics.

    Args:
        model, settings: see Run.load.
        dataset: its images; None for a page without.
        trouble: why there are none.

    Returns:
        Where the page is.

    Raises:
        MinivaeError: the run cannot be read, or the page not be written.
    """
    told = checkpoint.load(run.checkpoint)[1]
    epoch = told.get("epoch")
    state = facts.SAVED if epoch is None else facts.FINISHED if epoch >= settings.epochs else facts.STOPPED
    rows = [row for row in history.read(run.metrics) if epoch is None or row["epoch"] <= epoch]
    score = told.get("test_cost")
    train_count, test_count = facts.counts(dataset)
    known = Facts(name=run.folder.resolve().name, settings=settings, state=state, epoch=epoch or 0, rows=rows,
                  score=score and Score(**score), image_shape=model.image_shape, train_count=train_count, test_count=test_count,
                  parameters=facts.parameters(model), versions={"minivae": told.get("minivae", "?")}, trouble=trouble)
    path = run.folder / NAME
    write(path, {**content(known, look(model, dataset, settings.seed)), "cost": None})
    return path
