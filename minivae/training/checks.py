"""Settings that cannot work, refused in words before anything is built or written."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from minivae.arrays import CLASSES_TRAINED
from minivae.data import ARRAYS, Dataset
from minivae.device import Device
from minivae.errors import UsageError
from minivae.models import SEMI
from minivae.optim import OPTIMIZERS, SCHEDULES
from minivae.parallel.group import Group
from minivae.runs import Settings

DRAWN = (1, 3)      # channels of a picture
COPIES = 4          # of the weights next to the pixels that there are at least: encoder and decoder, each with its gradients
LARGE = 1 << 30     # bytes for which there is always room
LEAST_ROWS = 2      # of a batch for each process: batch norm needs them where its statistics are a process's own
MOST_STEPS = 1 << 32        # which a noise is named by, see ops.reparameterize.Noise
MOST_SAMPLES = 1 << 20      # codes an image; more make arrays that are larger than an array's size can say


def check(settings: Settings, dataset: Dataset) -> None:
    """Refuse settings that cannot work, on their own or for that data set.

    Raises:
        UsageError: names the setting, what is wrong with it and what would do.
    """
    count = len(dataset.train_images)
    if settings.data != ARRAYS and dataset.image_shape[2] not in DRAWN:
        raise UsageError(f"the images of {settings.data} have {dataset.image_shape[2]} channels, but a run draws pictures, of 1 "
                         "(grey) or 3 (colour): keep so many of them, or train from Python (minivae.VAE), which draws none")
    if count < 2:
        raise UsageError(f"there are too few training images in {settings.data}: {count}, but batch norm needs at least 2")
    check_alone(settings)
    if settings.batch_size > count:
        raise UsageError(f"--batch-size is {settings.batch_size}, but there are {count} training images in "
                         f"{settings.data}; take at most {count}")
    if settings.epochs * (count // settings.batch_size) >= MOST_STEPS:
        raise UsageError(f"--epochs is {settings.epochs}, but there can be {MOST_STEPS - 1:,} steps, each with noise of its own: "
                         f"take at most {(MOST_STEPS - 1) // (count // settings.batch_size):,}")
    least = min(dataset.image_shape[:2])
    for name, value, done in (("shift", settings.shift, "shifted by"), ("erase", settings.erase, "erased in squares of")):
        if value >= least:
            raise UsageError(f"--{name} is {value}, but images of {' x '.join(map(str, dataset.image_shape[:2]))} can be {done} "
                             f"0 to {least - 1} pixels")
    if settings.labels is not None and (dataset.train_labels is None or dataset.train_labels.max() < 0):
        raise UsageError(f"--labels is {settings.labels}, but {settings.data} has no labels: leave it out, or give them "
                         "(for pictures by subfolders or --labels-from FILE.csv)")
    if settings.labels is not None and dataset.train_labels.max() >= CLASSES_TRAINED:
        raise UsageError(f"the labels of {settings.data} go up to {dataset.train_labels.max()}, but a model can know of the "
                         f"classes 0 to {CLASSES_TRAINED - 1:,}: number them from 0 on")


def check_alone(settings: Settings) -> None:
    """Refuse settings that cannot work for any data set.

    Raises:
        UsageError: names the setting, what is wrong with it and what would do.
    """
    for name, least in (("epochs", 1), ("batch_size", 2), ("code", 1), ("seed", 0)):
        value = getattr(settings, name)
        if value < least:
            raise UsageError(f"--{name.replace('_', '-')} is {value}, but must be at least {least}")
    if settings.seed >= 2**64:
        raise UsageError(f"--seed is {settings.seed}, but must be below 2^64")
    if not 0 < settings.learning_rate < math.inf:
        raise UsageError(f"--learning-rate is {settings.learning_rate:g}, but must be a positive number, such as 0.001")
    _check_optimizer(settings)
    _check_cost(settings)
    _check_labels(settings)
    _check_pools(settings)


def check_size(settings: Settings, device: Callable[[], Device]) -> None:
    """Refuse pictures of a size for which the dense layers beside them cannot fit the memory, before any is decoded.

    Args:
        device: gives the one to train on; not asked where the layers are small.

    Raises:
        UsageError: names the size, how large those layers are, and what would do.
    """
    if settings.arch != "ff" or not settings.size or not settings.hidden:
        return
    channels = 3 if settings.colour == "colour" else 1      # at least, where it is left to the pictures
    weights = math.prod(settings.size) * channels * settings.hidden[0]
    needed = COPIES * weights * np.dtype(np.float32).itemsize
    if needed > LARGE and needed > (free := device().bytes_free):
        raise UsageError(f"--size is {','.join(map(str, settings.size))}, but the layer that takes such pictures would have "
                         f"{weights:,} weights or more: with the one that draws them and the gradients of both "
                         f"{needed / 1e9:,.1f} GB, but {free / 1e9:,.1f} GB of memory are free; take a smaller --size, or --arch conv")


def check_group(settings: Settings, group: Group) -> None:
    """Refuse settings that cannot work for so many processes.

    Raises:
        UsageError: names the setting, what is wrong with it and what would do.
    """
    if group.size > 1 and settings.batch_size < LEAST_ROWS * group.size:
        raise UsageError(f"--batch-size is {settings.batch_size}, but {group.size} processes need at least {LEAST_ROWS} images "
                         f"each: take at least {LEAST_ROWS * group.size}, or fewer processes")


def _check_optimizer(settings: Settings) -> None:
    for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
        value = getattr(settings, name)
        if value not in known:
            raise UsageError(f"--{name} is {value}, but must be one of {', '.join(known)}")
    for name, none in (("rescale", "no rescaling"), ("clip", "no clipping"), ("weight_decay", "no decay"),
                       ("warm_up", "no warm-up")):
        value = getattr(settings, name)
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} is {value:g}, but must be 0 ({none}) or a positive number")
    if settings.warm_up > settings.epochs:
        raise UsageError(f"--warm-up is {settings.warm_up:g} epochs, but there are only {settings.epochs}")
    if not 0 <= settings.ema < 1:
        raise UsageError(f"--ema is {settings.ema:g}, but must be 0 (no average) or a decay below 1, such as 0.999")


def _check_pools(settings: Settings) -> None:
    """Of pictures, which --size brings to a height and width that do; of other images the model says what does."""
    step = 1 << len(settings.channels) if settings.arch == "conv" else 1
    fitting = [max(1, round(side / step)) * step for side in settings.size]
    if fitting != list(settings.size) and max(fitting) <= 2 * max(settings.size):
        raise UsageError(f"--size is {','.join(map(str, settings.size))}, but each of the {len(settings.channels)} "
                         f"--channels halves height and width: take --size {','.join(map(str, fitting))}, or fewer --channels")


def _check_cost(settings: Settings) -> None:
    for name, none in (("beta", "no KL"), ("kl_warm_up", "no warm-up"), ("free_bits", "none")):
        value = getattr(settings, name)
        if not 0 <= value < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} is {value:g}, but must be 0 ({none}) or a positive number")
    if not 1 <= settings.samples <= MOST_SAMPLES:
        raise UsageError(f"--samples is {settings.samples}, but must be from 1 to {MOST_SAMPLES}")
    if settings.samples > 1 and (settings.beta != 1 or settings.free_bits or settings.labels is not None):
        raise UsageError(f"--samples {settings.samples} minimizes the importance-weighted bound, which knows no --beta, "
                         "--free-bits or --labels: leave those out, or --samples")
    if settings.kl_warm_up > settings.epochs:
        raise UsageError(f"--kl-warm-up is {settings.kl_warm_up:g} epochs, but there are only {settings.epochs}")


def _check_labels(settings: Settings) -> None:
    for name, value in (("label-weight", settings.label_weight), ("label-kl", settings.label_kl),
                        ("consistency", settings.consistency)):
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"--{name} is {value:g}, but must be 0 (none) or a positive number")
    if settings.semi not in SEMI:
        raise UsageError(f"--semi is {settings.semi}, but must be one of {', '.join(SEMI)}")
    for name in ("semi", "label_weight", "label_kl") if settings.labels is None else ():
        value = getattr(settings, name)
        if value != getattr(Settings, name):
            raise UsageError(f"--{name.replace('_', '-')} is {value}, but there are no labels: give --labels (from Python, "
                             "fit's y), or leave it out")
    for name, value in (("shift", settings.shift), ("erase", settings.erase)):
        if value < 0:
            raise UsageError(f"--{name} is {value}, but must be 0 (none) or a number of pixels")
    distorted = settings.shift > 0 or settings.mirror or settings.erase > 0
    if settings.consistency and not settings.labels:
        raise UsageError("--consistency is about a classifier, which learns from labels: give --labels, at least one of each "
                         "class, or leave it out")
    if settings.consistency and not distorted:
        raise UsageError("--consistency asks that an image keeps its class where it is changed: say how it is, with --shift, "
                         "--mirror or --erase")
    if distorted and not settings.consistency:
        raise UsageError("--shift, --mirror and --erase say what --consistency is about: give it, too, such as --consistency 300")
