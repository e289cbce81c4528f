"""The training loop: batches, steps, an evaluation an epoch, fixed-point statistics at the end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import NoReturn

import numpy as np

from minivae.clock import Every, Stopwatch
from minivae.data import Dataset
from minivae.device import Device
from minivae.errors import MinivaeError
from minivae.evaluation import evaluate
from minivae.evaluation.evaluate import Score
from minivae.evaluation.fixed_point import Passes
from minivae.models import VAE
from minivae.nn import Flat, batch_norms, join
from minivae.ops.host_batch import placed
from minivae.ops.reparameterize import TRAIN, Noise
from minivae.optim import SCHEDULES, Average, make
from minivae.parallel.agreement import Agreement, Wishes, digest, require_same
from minivae.parallel.group import ALONE, Group
from minivae.runs import Run, Settings, build
from minivae.runs.fingerprint import fingerprint
from minivae.runs.journal import Journal
from minivae.training import batches, state
from minivae.training.checks import check, check_group
from minivae.training.collapse import CollapseWatch, active_units
from minivae.training.epochs import Epoch, Listener
from minivae.training.labels import classes_of
from minivae.training.recovery import Diverged, Recovery
from minivae.training.running_score import RunningScore
from minivae.training.snapshot import Snapshot
from minivae.training.weighting import weights_at

SAMPLED = evaluate.BATCH    # training images for the statistics behind an epoch's test cost: in one batch, whose own moments
SAMPLED_BETWEEN = 250       # where a checkpoint is written within an epoch: less exact, but soon done
SAMPLED_PASSES = 1          # are its fixed point after a single pass (nearly so in several smaller ones)
LOOK_EVERY = 0.25           # seconds between looks at the cost so far


class Stopped(MinivaeError):
    """The training stopped between two steps, as it was asked to."""

    exit_code, everywhere = 130, True


class Trainer:
    """A model in training on one device, or with others of a group on one each.

    Args:
        settings: what to train and how.
        dataset: what on.
        device: where.
        run: the folder to leave results in; None leaves nothing, as in all processes of a group but one.
        group: the processes that train together. All make the same calls, and have the same parameters after each.

    Attributes:
        journal: what writes into the run folder; None where nothing is left.
        stop: asked between two steps whether to stop there, with a checkpoint.
        history: the epochs that were made since this was built.
        clock, epoch_clock: seconds of training, and of the epoch, also before it was stopped and went on.
        fingerprint: of the data set.
        collapse: watches the code.
        tight: whether what steps and evaluations keep for reuse would not fit into the memory together.

    Raises:
        UsageError: settings that do not fit each other or the data.
    """

    def __init__(self, settings: Settings, dataset: Dataset, device: Device, run: Run | None = None,
                 group: Group = ALONE):
        check(settings, dataset)
        check_group(settings, group)
        self.settings, self.dataset, self.device, self.group = settings, dataset, device, group
        self.journal = Journal(run) if run else None
        self.stop: Callable[[], bool] = lambda: False
        self.classes = 0 if settings.labels is None else classes_of(dataset.train_labels)
        self.model: VAE = build(settings, dataset.image_shape, device, self.classes)
        self.model.class_names = dataset.class_names if self.classes else ()
        join(self.model, group)
        for _, norm in batch_norms(self.model) if settings.local_bn else ():
            norm.group = ALONE
        self.flat = Flat(self.model, device, self.model.dtype, group)
        self.optimizer = make(settings.optimizer, self.flat, settings.learning_rate, rescale=settings.rescale,
                              clip=settings.clip, weight_decay=settings.weight_decay)
        self.average = Average(self.flat, settings.ema) if settings.ema else None
        self.batches = batches.of(dataset, settings.labels, settings.batch_size, settings.seed, device, self.model.dtype,
                                  binarize=settings.binarize)
        self.train_images = self.batches.images
        self.test_images = placed(dataset.test_images, device, self.model.dtype, binarize=settings.binarize)
        self.test_labels = dataset.test_labels if self.classes else None
        self.steps_an_epoch = len(dataset.train_images) // settings.batch_size
        self.steps = self.steps_an_epoch * settings.epochs
        self.schedule = SCHEDULES[settings.schedule](self.steps, round(settings.warm_up * self.steps_an_epoch))
        self._agreement = Agreement(group, LOOK_EVERY)
        # A cost is a mean over a process's rows: with its part of the batch, all of them together are the batch's mean.
        group.take(settings.batch_size)
        self._part = None if group.size == 1 else device.from_host(np.full((), group.part, self.model.dtype))
        self.score = RunningScore(device, self.model.dtype, group, settings.batch_size)
        self.recovery = Recovery(partial(Snapshot, self.model, self.flat, self.optimizer, self.schedule, self.average))
        self.history: list[Epoch] = []
        self.tight = False
        self.clock, self.epoch_clock = Stopwatch(), Stopwatch()
        self.fingerprint, self.collapse = fingerprint(dataset), CollapseWatch(settings)
        self._sampled_at = -1       # the step at which the model's statistics were taken

    def step(self, number: int) -> None:
        """Training step `number`, counted from 0: nothing is copied to the device and nothing read back."""
        s = self.settings
        noise = Noise(s.seed, number, TRAIN)
        x, example, *labels = self.batches.batch(number, noise, self.group.take(self.batches.batch_size))
        self.model.train()
        cost = self.model.cost(x, example, noise, weights_at(s, number, self.steps_an_epoch), *labels)
        cost.total.backward(self._part)
        self.optimizer.lr = s.learning_rate * self.schedule.factor(number) * self.recovery.factor
        self.optimizer.step()
        if self.average:
            self.average.step()
        self.score.add(cost, len(x), number)

    def train(self, *listeners: Listener) -> float:
        """All steps that are still to be made. Returns the seconds of all, also of those before a restore.

        Raises:
            Diverged: the cost exploded, again and again; the last good checkpoint stays.
            Stopped: as `stop` asked; a checkpoint was written.
        """
        self.clock.go_on()
        self.epoch_clock.go_on()
        look = Every(LOOK_EVERY)
        self.recovery.begin()
        while self.optimizer.steps < self.steps:
            try:
                self._go_on(look, listeners)
            except Diverged as error:
                self.recovery.go_back(error)
                self._sampled_at = -1       # the steps of these numbers are to be made again
                self._begin_epoch()
                self._journal_goes_back()
        return self.clock.read()

    def _go_on(self, look: Every, listeners: Sequence[Listener]) -> None:
        """The next step, and what is due after it."""
        number = self.optimizer.steps
        done = number % self.steps_an_epoch
        if not done:
            self._begin_epoch()
        self.step(number)
        if number == 0:
            self.recovery.observe(self._minimized(1))
        if done + 1 == self.steps_an_epoch:
            self._end_epoch(listeners)
        self._between_steps(look, listeners)

    def finish(self) -> tuple[Score | None, Passes]:
        """The fixed-point statistics over all training images; returns (test score, passes) and saves. The average of
        the weights, where there is one, takes their place for good. Without test images there is no score.

        Raises:
            Stopped: as `stop` asked; a checkpoint was written, from which finish() can be called again.
            MinivaeError: the checkpoint cannot be written.
        """
        self._sampled_at = -1
        try:
            with self.evaluated():
                passes = evaluate.fix_statistics(self.model, self.train_images, seed=self.settings.seed, between=self._asked,
                                                 group=self.group)
                score = self._test_score()
                self._check_parameters()
                if self.journal and score:
                    self.journal.consider(score.total, self.settings.epochs, lambda: state.model_alone(self))
                if self._kept:
                    found = self._state(score, finished=True)
                    if self.journal:
                        self.journal.save(*found)
        except _Asked:
            self._stop()
        if self.average:
            self.average.swap()
        self.model.eval()
        return score, passes

    # ---- between steps ----

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """Within this context the model has the parameters that are evaluated and kept: the average, where there is
        one. Batch norm's statistics are then taken under them, too."""
        if self.tight:
            self.device.release()
        with self.average.in_use() if self.average else nullcontext():
            yield
        if self.tight:
            self.device.release()

    def state(self) -> tuple[dict[str, np.ndarray], dict]:
        """(arrays, facts) of the training as it is between two steps, copies on the host: what restore() takes and
        checkpoint.save writes. The model in it can be used at once: its statistics are those of a sample.

        Raises:
            Diverged: a parameter or the cost is not finite.
        """
        self._score(self._done)
        self._check_parameters()
        with self.evaluated():
            if self._sampled_at != self.optimizer.steps:
                self._sample_statistics(SAMPLED_BETWEEN)
            return self._state(None)

    def restore(self, arrays: dict[str, np.ndarray], facts: dict) -> int:
        """Go on where a checkpoint of these settings was saved: the next steps are the same, bit for bit.

        Args:
            arrays, facts: see state() and checkpoint.load.

        Returns:
            The number of the next step, counted from 0.

        Raises:
            MinivaeError: it is of another model, optimizer or data set, or of a model alone.
        """
        state.restore(self, arrays, facts)
        self._sampled_at = -1
        self.history = [epoch for epoch in self.history if epoch.step <= self.optimizer.steps]
        if self.journal:
            self.journal.restore(facts)
        return self.optimizer.steps

    @property
    def _done(self) -> int:
        """Steps of the epoch that is under way, or of the one that has just ended."""
        return (self.optimizer.steps - 1) % self.steps_an_epoch + 1

    def _state(self, test: Score | None, finished: bool = False) -> tuple[dict[str, np.ndarray], dict]:
        return state.whole(self, test_cost=test and test._asdict(), finished=finished, best=self.journal and self.journal.best)

    def _between_steps(self, look: Every, listeners: Sequence[Listener]) -> None:
        todo = self._agreement.after(self.optimizer.steps, lambda: self._wishes(look))
        if todo.look:
            cost = self._score(self._done)
            for listener in listeners:
                listener.progress(self.optimizer.steps * self.settings.batch_size, cost)
        if todo.stop:
            self._stop()
        if todo.save:
            found = self.state()
            if self.journal:
                self.journal.try_to_save(*found)

    def _wishes(self, look: Every) -> Wishes:
        save = self.journal is not None and self.journal.due(self.optimizer.steps // self.steps_an_epoch)
        return Wishes(look.due(), save, self.stop())

    @property
    def _kept(self) -> bool:
        """Whether a state is to be taken where one is kept: in a group all take it, for the one that keeps it."""
        return self.journal is not None or self.group.size > 1

    def _journal_goes_back(self) -> None:
        if self.group.size > 1:
            found = self.state()
            if self.journal:
                self.journal.go_back(self.optimizer.steps, lambda: found)
        elif self.journal:
            self.journal.go_back(self.optimizer.steps, self.state)

    def _asked(self) -> None:
        if any(self.group.exchange(self.stop())):
            raise _Asked

    def _stop(self) -> NoReturn:
        if self._kept:
            found = self.state()
            if self.journal:
                self.journal.save(*found)
        steps = self.optimizer.steps
        raise Stopped(f"stopped after step {steps:,} of {self.steps:,} (epoch {-(-steps // self.steps_an_epoch)} of "
                      f"{self.settings.epochs})")

    # ---- epochs ----

    def _begin_epoch(self) -> None:
        self.score.begin()
        self.epoch_clock.set(0.0)

    def _end_epoch(self, listeners: Sequence[Listener]) -> None:
        train_cost, minimized = self._score(self.steps_an_epoch), self._minimized(self.steps_an_epoch)
        if self.recovery.exploded(minimized):
            raise self._diverged(self.optimizer.steps - 1, f"the epoch's cost was {minimized:.3g}")
        self._check_parameters()
        self.schedule.observe(train_cost)
        rate = self.steps_an_epoch * self.settings.batch_size / max(self.epoch_clock.read(), 1e-9)
        steps = self.optimizer.steps
        if self.group.size > 1:
            require_same(self.group, {"digest of the parameters": digest(self.device.to_host(self.flat.values))},
                         "they must not drift apart: take processors of one kind, and the same versions of all libraries")
        with self.evaluated():
            test = None
            if self.test_images.count or self.group.size > 1:
                self._sample_statistics(SAMPLED)
            if self.test_images.count:
                test = self._test_score()
                if not math.isfinite(test.total):
                    raise self._diverged(steps - 1)
            active = active_units(self.model, self.train_images, self.settings.seed)
            result = Epoch(steps // self.steps_an_epoch, steps, train_cost, test, rate, self.clock.read(), active)
            if self.journal:
                self.journal.epoch(result.row(), test.total if test else train_cost, self._best)
        self.recovery.observe(minimized)
        self.recovery.keep()
        self.history.append(result)
        self.collapse.epoch(result)
        for listener in listeners:
            listener.epoch(result)

    def _best(self) -> tuple[dict[str, np.ndarray], dict]:
        if not self.test_images.count and self.group.size == 1:
            self._sample_statistics(SAMPLED)        # which the test cost would have left, and of a group all take
        return state.model_alone(self)

    def _score(self, steps: int) -> float:
        """The mean cost of the epoch's first `steps` steps; waits for the device."""
        return sum(self._costs(steps))

    def _minimized(self, steps: int) -> float:
        """Likewise, with the KL times the factor that it has now."""
        reconstruction, kl = self._costs(steps)
        return reconstruction + weights_at(self.settings, self.optimizer.steps - 1, self.steps_an_epoch).beta * kl

    def _costs(self, steps: int) -> tuple[float, float]:
        reconstruction, kl, bad = self.score.read()
        if bad >= 0:
            raise self._diverged(int(bad))
        return reconstruction / steps, kl / steps

    def _sample_statistics(self, images: int) -> None:
        evaluate.fix_statistics(self.model, self.train_images, seed=self.settings.seed, limit=images, most=SAMPLED_PASSES,
                                group=self.group)
        self._sampled_at = self.optimizer.steps

    def _test_score(self) -> Score | None:
        if not self.test_images.count:
            return None
        return evaluate.score(self.model, self.test_images, self.settings.seed, self.test_labels, self.group)

    def _check_parameters(self) -> None:
        if not np.isfinite(self.device.to_host(self.flat.values)).all():
            raise self._diverged(self.optimizer.steps - 1)

    def _diverged(self, step: int, what: str = "the cost was not finite") -> Diverged:
        kept = "no checkpoint had been written yet"
        if self.journal and self.journal.saved_step:
            kept = f"the last good checkpoint stays in {self.journal.run.checkpoint}"
        return self.recovery.error(f"{what} at step {step + 1} (epoch {step // self.steps_an_epoch + 1})",
                                   self.settings.learning_rate, kept)


class _Asked(Exception):
    """Raised where finish() is asked to stop, to leave its loops."""
