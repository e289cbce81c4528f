"""How many images a step can have in the memory that there is: measured on steps of few images."""

from __future__ import annotations

import gc
import math
import traceback
from collections.abc import Callable
from typing import NamedTuple

from minivae.errors import MinivaeError
from minivae.evaluation import evaluate
from minivae.gpu.errors import out_of_memory
from minivae.training.snapshot import Snapshot
from minivae.training.trainer import Trainer

SHARE = 0.9         # of the free memory is planned with: the rest is for what arrays leave between them, and for others
SURE = 0.5          # of that is so little that the first, rough measurements decide
FIRST = 2           # images, of the first measurement
FURTHER = 8         # times as many images as measured last, at most, are measured next: nothing goes by a long guess
SMALLER = "take a smaller --hidden, --channels or --code, or end what else uses the memory"


class OutOfMemory(MinivaeError):
    """The memory of the device does not do; the text names the batch size that would."""


class Fit(NamedTuple):
    """How many images fit, and the bytes that they take."""

    images: int
    bytes: float


class Plan(NamedTuple):
    """What a training takes beside what it holds.

    Attributes:
        free: bytes that it may take.
        asked, batch: images of a step: those that were asked for, and those that fit, at most as many; 0 where not even
            two do.
        at_once, evaluated: likewise of an evaluation.
    """

    free: float
    asked: int
    batch: Fit
    at_once: int
    evaluated: Fit

    @property
    def tight(self) -> bool:
        """Whether a step and an evaluation do not fit together, but only one after the other."""
        return self.batch.bytes + self.evaluated.bytes > self.free

    def batch_size(self, take: bool) -> int:
        """The batch size to train with.

        Args:
            take: whether it may be a smaller one than was asked for.

        Raises:
            OutOfMemory: what was asked for does not fit and may not be changed, or nothing fits.
        """
        if self.evaluated.images < self.at_once:
            raise OutOfMemory(f"an evaluation of {self.at_once} images at a time does not fit {self._room}: {SMALLER}")
        if not self.batch.images:
            raise OutOfMemory(f"not even {min(FIRST, self.asked)} images a step fit {self._room}: {SMALLER}")
        if self.batch.images == self.asked or take:
            return self.batch.images
        raise OutOfMemory(f"a step of {self.asked} images does not fit {self._room}: take {self.advice}")

    @property
    def _room(self) -> str:
        return f"the {_amount(self.free)} of memory that can be had beside data and model"

    @property
    def advice(self) -> str:
        """What to say on the command line."""
        return f"--batch-size {self.batch.images}, or --fit-batch for what fits"


def plan(trainer: Trainer) -> Plan:
    """Measure what a training takes. It is left as it was, bit for bit."""
    before = Snapshot(trainer.model, trainer.flat, trainer.optimizer, trainer.schedule, trainer.average)
    batches, device, model = trainer.batches, trainer.device, trainer.model
    device.release()
    free = SHARE * device.bytes_free
    asked, at_once = trainer.settings.batch_size, evaluate.batch_size(model)
    # A last batch that is smaller than the others may find no memory of its size among what they have left.
    images = [(trainer.train_images, evaluate.BATCH), (trainer.train_images, None), (trainer.test_images, None)]
    sizes = {size for held, limit in images for _, size in held.ranges(at_once, limit)}
    at_once = max(sizes)
    try:
        batch = largest(lambda size: _taken(trainer, lambda: _steps(trainer, batches.of_size(size))), asked, free)
        evaluated = largest(lambda size: _taken(trainer, lambda: _evaluation(trainer, size)), at_once,
                            free * at_once / sum(sizes))
        return Plan(free, asked, batch, at_once, evaluated._replace(bytes=evaluated.bytes * sum(sizes) / at_once))
    finally:
        trainer.batches = batches
        before.put_back()
        device.release()


def largest(taken: Callable[[int], float], asked: int, free: float) -> Fit:
    """The most images up to `asked` that take at most `free` bytes, rounded; no images where not even FIRST do.

    It goes up from few images, along the line through the last two measurements. What an image takes may become less with
    more of them, as buffers of a fixed size fill up; so nothing is measured that would take more than there is, unless it
    becomes more.

    Args:
        taken: measures the bytes that so many images take; infinity where they do not fit.
    """
    low, above, slope = Fit(0, 0.0), asked + 1, math.inf        # so many fit, so many do not
    size, several = min(FIRST, asked), False
    while low.images < size < above:
        found = Fit(size, taken(size))
        if found.bytes > free:
            above = size
        else:
            low, slope = found, (found.bytes - low.bytes) / (size - low.images)
        if not low.images:
            break
        whole = low.bytes + slope * (asked - low.images)
        if several and above > asked and whole <= SURE * free:
            return Fit(asked, whole)
        reach = low.images + (free - low.bytes) / slope if slope > 0 else math.inf
        # The slope of the first alone is too steep where some bytes are the same for any number.
        next_ = max(rounded(int(min(reach, FURTHER * low.images)), asked), 0 if several else low.images + 1)
        size = min(next_, asked if above > asked else rounded((low.images + above) // 2, asked))
        several = True
    return low


def rounded(size: int, asked: int) -> int:
    """A batch size that fits, if it is not the one that was asked for, down to one of eight steps between powers of two."""
    step = 1 << max(0, size.bit_length() - 4)
    return size if size == asked else size // step * step


def ran_out(trainer: Trainer, error: Exception) -> OutOfMemory:
    """What to raise for an error in the middle of a training which means that the memory was full."""
    said = " ".join(str(error).split()) or "no more"
    traceback.clear_frames(error.__traceback__)     # the arrays of the step that failed
    trainer.recovery.restore({}, None)              # its copy of the state, which the measurement makes anew
    gc.collect()
    try:
        found = plan(trainer)
        found.batch_size(take=True)
    except OutOfMemory as short:
        return OutOfMemory(f"out of memory ({said}): {short}")
    except MemoryError:
        return OutOfMemory(f"out of memory ({said}): {SMALLER}")
    if found.batch.images == found.asked:
        return OutOfMemory(f"out of memory ({said}), though now there is enough: end what else uses the memory, and start "
                           "again")
    return OutOfMemory(f"out of memory ({said}): take {found.advice}")


def _taken(trainer: Trainer, work: Callable[[], None]) -> float:
    """The bytes that some work takes beside what is held; infinity where there are not so many."""
    trainer.device.release()
    held = trainer.device.bytes_held
    try:
        work()
    except Exception as error:
        if not out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)
        return math.inf
    return trainer.device.bytes_held - held


def _steps(trainer: Trainer, batches) -> None:
    """Two steps, since the second one finds what the first has left; the last of the training: by then all is in use."""
    trainer.batches = batches
    for _ in range(2):
        trainer.step(trainer.steps - 1)


def _evaluation(trainer: Trainer, size: int) -> None:
    """What an epoch's evaluation does, with so many images at once and once."""
    model, seed = trainer.model, trainer.settings.seed
    with trainer.evaluated():
        evaluate.fix_statistics(model, trainer.train_images, seed=seed, limit=size, most=1)
        if trainer.test_images.count:
            evaluate.costs(model, trainer.test_images, seed, limit=size)
            if trainer.test_labels is not None:
                evaluate.mistaken(model, trainer.test_images, trainer.test_labels, seed, limit=size)


def _amount(count: float) -> str:
    """Bytes, for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
