"""The page of a training that goes on: written anew at epochs' ends, as often as its share of the time allows."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from minivae.errors import MinivaeError, MinivaeWarning
from minivae.evaluation import evaluate
from minivae.evaluation.evaluate import Score
from minivae.page import coding, facts, history
from minivae.page.content import content
from minivae.page.facts import Facts
from minivae.page.looks import Looks, look
from minivae.page.writing import write
from minivae.runs import Run, versions
from minivae.training.trainer import SAMPLED, SAMPLED_PASSES, Epoch, Trainer

SHARE = 0.02            # of the training's time that its pages take at most, the last one among them
FAULTS = (MinivaeError, MemoryError, ArithmeticError, ValueError)     # for which no training ends: the page is none of it
FIRST = 0.2             # seconds that the first page is taken to need, beside those of its images in the model


class Following:
    """Listens to a training and keeps its page.

    Args:
        trainer: whose model the page shows; its training is left as it is, bit for bit.
        run: whose page it is.

    Attributes:
        path: where the page is.
        spent: seconds that all pages took.
        written: how often it was written.
    """

    def __init__(self, trainer: Trainer, run: Run):
        self._trainer, self._run = trainer, run
        self.path: Path = run.page
        self.spent, self.written = 0.0, 0
        self._began, self._last = time.perf_counter(), 0.0
        self._looks: Looks | None = None

    def progress(self, images: int, cost: float) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch) -> None:
        """Write the page if its time has come; where that fails, warn."""
        elapsed = time.perf_counter() - self._began
        over = epoch.number == self._trainer.settings.epochs        # finish() writes the page
        if over or self.spent + 2 * self._expected(epoch) > SHARE * elapsed:     # this page, and the last one
            return
        try:
            self._write(facts.TRAINING, epoch.number, None)
        except FAULTS as error:
            warnings.warn(f"the page: {_in_words(error)}. Training goes on, and it is tried again", MinivaeWarning,
                          stacklevel=2)

    def finish(self, score: Score | None) -> None:
        """Write the last page, after Trainer.finish().

        Args:
            score: of the model as it is kept.

        Raises:
            MinivaeError: it cannot be written.
        """
        self._write(facts.FINISHED, self._trainer.settings.epochs, score)

    def stop(self, draw: bool) -> None:
        """Write on the page that the training has stopped; where that fails, warn.

        Args:
            draw: show the model as it is; else the page keeps the pictures that were drawn last, and there is none where
                none were.
        """
        if self._looks is None and not draw:
            return
        try:
            if draw:
                self._draw(sampled=True)
            rows = history.read(self._run)
            known = replace(self._facts, state=facts.STOPPED, rows=rows, epoch=int(rows[-1]["epoch"]) if rows else 0)
            write(self.path, {**content(known, self._looks), "cost": None})
        except FAULTS as error:
            warnings.warn(f"the page: {_in_words(error)}; `minivae report` writes it", MinivaeWarning, stacklevel=2)

    def _expected(self, epoch: Epoch) -> float:
        """Seconds that a page takes: as many as the last one. Before the first one: to pass an image through the model takes
        at most half as long as to train on it."""
        images = coding.count_for(self._trainer.model.pixels)
        return self._last or FIRST + images / (2 * max(epoch.images_per_second, 1e-9))

    def _write(self, state: str, epoch: int, score: Score | None) -> None:
        began, training = time.perf_counter(), state == facts.TRAINING
        try:
            if training:
                self._draw(sampled=not self._trainer.test_images.count)     # else it has those of the test images' cost
            else:
                self._looks = self._look()      # the average of the weights has taken their place for good
            known = replace(self._facts, state=state, epoch=epoch, rows=history.read(self._run), score=score)
            shown = content(known, self._looks)
            cost = self._cost(self.written + 1, time.perf_counter() - began)
            write(self.path, {**shown, "cost": cost}, refresh=training)
            self.written += 1
        finally:
            self._last = time.perf_counter() - began
            self.spent += self._last

    def _draw(self, sampled: bool) -> None:
        """Look at the model of a training as it is evaluated.

        Args:
            sampled: give it the statistics of a sample of the training images first; in a group all have taken them by now.
        """
        trainer = self._trainer
        with trainer.evaluated():
            if sampled and trainer.group.size == 1:
                evaluate.fix_statistics(trainer.model, trainer.train_images, seed=trainer.settings.seed, limit=SAMPLED,
                                        most=SAMPLED_PASSES)
            self._looks = self._look()

    def _look(self) -> Looks:
        return look(self._trainer.model, self._trainer.dataset, self._trainer.settings.seed)

    def _cost(self, times: int, more: float) -> str:
        """What so many pages took of the training's time, in words; `more` seconds for the one that is being written."""
        share = (self.spent + more) / max(time.perf_counter() - self._began, 1e-9)
        return f"{'once' if times == 1 else f'{times:,} times'} so far, which took {share:.1%} of the time"

    @cached_property
    def _facts(self) -> Facts:
        """What does not change while the model is trained."""
        trainer = self._trainer
        train_count, test_count = facts.counts(trainer.dataset)
        noted = versions.read(self._run.versions) or [versions.versions(trainer.device, 0)]
        return Facts(name=self._run.folder.resolve().name, settings=trainer.settings, state=facts.TRAINING, epoch=0, rows=[],
                     score=None, image_shape=trainer.model.image_shape, train_count=train_count, test_count=test_count,
                     parameters=trainer.flat.count, surroundings=facts.surroundings(noted))


def _in_words(error: Exception) -> str:
    what = "out of memory" if isinstance(error, MemoryError) else "numbers that cannot be drawn"
    return str(error) if isinstance(error, MinivaeError) else f"{what} ({' '.join(str(error).split()) or 'no more'})"
