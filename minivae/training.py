"""The training loop: batches, steps, an evaluation an epoch, fixed-point statistics at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from minivae import __version__, batches, checkpoint, evaluate
from minivae.checks import check
from minivae.data import Dataset
from minivae.device import Device
from minivae.errors import MinivaeError
from minivae.evaluate import Score
from minivae.fixed_point import Passes
from minivae.kernels import launch
from minivae.labels import classes_of
from minivae.models import VAE, Weights
from minivae.nn import Flat
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import TRAIN, Noise
from minivae.optim import SCHEDULES, Average, make
from minivae.runs import OPTIMIZER, Run, Settings, build, model_state
from minivae.work import blocks

SAMPLED = evaluate.BATCH    # training images for the statistics behind an epoch's test cost: in one batch, whose own moments
SAMPLED_PASSES = 1          # are its fixed point after a single pass (nearly so in several smaller ones)
SAVE_EVERY = 20.0           # seconds between checkpoints, at an epoch's end
LOOK_EVERY = 0.25           # seconds between looks at the cost so far
TRAINED = "parameters"      # with the optimizer's state: the weights themselves where their average is the model


class Diverged(MinivaeError):
    """The cost became NaN or infinite."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave."""

    number: int
    step: int
    train_cost: float
    test: Score | None      # None where there are no test images
    images_per_second: float
    seconds: float          # since training began


class Listener(Protocol):
    """Who is told how the training goes; see report.py."""

    def progress(self, images: int, cost: float) -> None: ...
    def epoch(self, epoch: Epoch) -> None: ...


class Trainer:
    """A model in training on one device.

    Args:
        settings: what to train and how.
        dataset: what on.
        device: where.
        run: the folder to leave results in; None leaves nothing.

    Attributes:
        saved_epoch: the epoch after which the last checkpoint was saved, counted from 1; 0 before the first.
        tight: whether what steps and evaluations keep for reuse would not fit into the memory together.

    Raises:
        UsageError: settings that do not fit each other or the data.
    """

    def __init__(self, settings: Settings, dataset: Dataset, device: Device, run: Run | None = None):
        check(settings, dataset)
        self.settings, self.dataset, self.device, self.run = settings, dataset, device, run
        self.classes = 0 if settings.labels is None else classes_of(dataset.train_labels)
        self.model: VAE = build(settings, dataset.image_shape, device, self.classes)
        self.flat = Flat(self.model, device, self.model.dtype)
        self.optimizer = make(settings.optimizer, self.flat, settings.learning_rate, rescale=settings.rescale,
                              clip=settings.clip, weight_decay=settings.weight_decay)
        self.average = Average(self.flat, settings.ema) if settings.ema else None
        self.batches = batches.of(dataset, settings.labels, settings.batch_size, settings.seed, device, self.model.dtype,
                                  binarize=settings.binarize)
        self.train_images = self.batches.images
        self.test_images = DeviceImages(dataset.test_images, device, self.model.dtype, binarize=settings.binarize)
        self.test_labels = dataset.test_labels if self.classes else None
        self.steps_an_epoch = len(dataset.train_images) // settings.batch_size
        self.steps = self.steps_an_epoch * settings.epochs
        self.schedule = SCHEDULES[settings.schedule](self.steps, round(settings.warm_up * self.steps_an_epoch))
        self._totals = device.zeros((3,), self.model.dtype)
        self.history: list[Epoch] = []
        self._saved = -math.inf
        self.saved_epoch = 0
        self.tight = False

    def step(self, number: int) -> None:
        """Training step `number`, counted from 0: nothing is copied to the device and nothing read back."""
        s = self.settings
        noise = Noise(s.seed, number, TRAIN)
        x, example, *labels = self.batches.batch(number, noise)
        self.model.train()
        cost = self.model.cost(x, example, noise, self.weights(number), *labels)
        cost.total.backward()
        self.optimizer.lr = s.learning_rate * self.schedule.factor(number)
        self.optimizer.step()
        if self.average:
            self.average.step()
        launch("keep_score", blocks(1), cost.reconstruction, cost.kl, self._totals, len(x), number)

    def weights(self, number: int) -> Weights:
        """What of the cost step `number` minimizes."""
        s = self.settings
        warm_up = s.kl_warm_up * self.steps_an_epoch
        beta = s.beta * min(1.0, (number + 1) / warm_up) if warm_up else s.beta
        consistency = s.consistency * min(1.0, (number + 1) / self.steps_an_epoch)
        return Weights(beta, s.free_bits, s.samples if number >= warm_up else 1, s.label_weight, s.label_kl, consistency,
                       s.shift, s.mirror)

    def train(self, listener: Listener) -> float:
        """All epochs. Returns the seconds that they took.

        Raises:
            Diverged: the cost became NaN or infinite; the last good checkpoint stays.
        """
        began = looked = time.perf_counter()
        for epoch in range(self.settings.epochs):
            first = epoch * self.steps_an_epoch
            started = time.perf_counter()
            self._begin_score()
            for number in range(first, first + self.steps_an_epoch):
                self.step(number)
                if time.perf_counter() - looked > LOOK_EVERY:
                    looked = time.perf_counter()
                    done = number - first + 1
                    listener.progress((number + 1) * self.settings.batch_size, self._score(done))
            train_cost = self._score(self.steps_an_epoch)
            self.schedule.observe(train_cost)
            rate = self.steps_an_epoch * self.settings.batch_size / (time.perf_counter() - started)
            with self.evaluated():
                test = self._sampled_test_cost()
                if test and not math.isfinite(test.total):
                    raise self._diverged(first + self.steps_an_epoch - 1)
                result = Epoch(epoch + 1, first + self.steps_an_epoch, train_cost, test, rate, time.perf_counter() - began)
                self._record(result)
            self.history.append(result)
            listener.epoch(result)
        return time.perf_counter() - began

    def finish(self) -> tuple[Score | None, Passes]:
        """The fixed-point statistics over all training images; returns (test score, passes) and saves. The average of
        the weights, where there is one, takes their place for good. Without test images there is no score."""
        if self.average:
            self.average.swap()
        self.device.release()       # what steps took
        passes = evaluate.fix_statistics(self.model, self.train_images, seed=self.settings.seed)
        score = self._test_score()
        self.model.eval()
        if self.run:
            self._save(self.settings.epochs, score)
        return score, passes

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

    def restore(self, arrays: dict[str, np.ndarray], facts: dict) -> int:
        """Go on where a checkpoint of these settings was saved: the next steps are the same, bit for bit.

        Args:
            arrays, facts: see checkpoint.load.

        Returns:
            The number of the next step, counted from 0.

        Raises:
            MinivaeError: it is of another model or optimizer, or of a model alone.
        """
        if "optimizer" not in facts:
            raise MinivaeError("the checkpoint holds a model, but no state of a training: go on from one that a training wrote")
        own = {k.removeprefix(OPTIMIZER): v for k, v in arrays.items() if k.startswith(OPTIMIZER)}
        trained = own.pop(TRAINED, None)
        if (trained is None) != (self.average is None):
            raise MinivaeError("the checkpoint was saved with another --ema: take the settings that it was saved with")
        self.model.load_state_dict(model_state(arrays, self.settings.arch))
        self.optimizer.restore(own, facts["optimizer"])
        self.schedule.restore(facts["schedule"])
        if self.average:
            self.average.values[...] = self.device.from_host(trained)
            self.average.steps = self.optimizer.steps
            self.average.swap()
        return self.optimizer.steps

    def _begin_score(self) -> None:
        self._totals[...] = 0
        self._totals[2] = -1

    def _score(self, steps: int) -> float:
        """The mean cost of the epoch's first `steps` steps; waits for the device."""
        reconstruction, kl, bad = self.device.to_host(self._totals).tolist()
        if bad >= 0:
            raise self._diverged(int(bad))
        return (reconstruction + kl) / steps

    def _sampled_test_cost(self) -> Score | None:
        if not self.test_images.count:
            return None
        evaluate.fix_statistics(self.model, self.train_images, seed=self.settings.seed, limit=SAMPLED,
                                most=SAMPLED_PASSES)
        return self._test_score()

    def _test_score(self) -> Score | None:
        if not self.test_images.count:
            return None
        return evaluate.score(self.model, self.test_images, self.settings.seed, self.test_labels)

    def _diverged(self, step: int) -> Diverged:
        rate = self.settings.learning_rate
        kept = "no checkpoint had been written yet"
        if self.run and self.run.checkpoint.exists():
            kept = f"the last good checkpoint stays in {self.run.checkpoint}"
        return Diverged(f"the cost was not finite at step {step + 1} (epoch {step // self.steps_an_epoch + 1}): a learning "
                        f"rate of {rate:g} is probably too large, try --learning-rate {rate / 10:g}; {kept}")

    def _record(self, epoch: Epoch) -> None:
        if self.run is None:
            return
        total, reconstruction, kl, error = epoch.test or ("", "", "", None)
        more = {} if error is None else {"test_error": error}
        self.run.append_metrics(epoch=epoch.number, step=epoch.step, train_cost=epoch.train_cost, test_cost=total,
                                test_reconstruction=reconstruction, test_kl=kl,
                                images_per_second=epoch.images_per_second, seconds=epoch.seconds, **more)
        if epoch.seconds - self._saved > SAVE_EVERY:
            self._saved = epoch.seconds
            self._save(epoch.number, epoch.test)

    def _save(self, epoch: int, test: Score | None) -> None:
        """To be called where the model has the parameters that are kept; see evaluated()."""
        state = {**self.optimizer.state, **({TRAINED: self.average.values} if self.average else {})}
        arrays = {**self.model.state_dict(), **{f"{OPTIMIZER}{k}": v for k, v in state.items()}}
        facts = {"minivae": __version__, "settings": asdict(self.settings), "image_shape": self.dataset.image_shape,
                 "classes": self.classes,
                 "epoch": epoch, "step": self.optimizer.steps, "optimizer": self.optimizer.facts(),
                 "schedule": self.schedule.facts(), "test_cost": test and test._asdict()}
        checkpoint.save(self.run.checkpoint, {k: self.device.to_host(v) for k, v in arrays.items()}, facts)
        self.saved_epoch = epoch
