"""What is drawn from a model for its page: images on the host, a bounded number of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from minivae import apply, latent
from minivae.data import Dataset
from minivae.data.dataset import first_of_each
from minivae.models import VAE
from minivae.page import coding
from minivae.page.coding import Coded
from minivae.page.tiles import shrunk

SMALL = 48              # pixels of the longer side, up to which images are shown many at a time
SAMPLES, FEW_SAMPLES = 96, 48       # of small images, and of larger ones
WALKS, TRAVERSES, FEWEST = 8, 10, 2     # ways; numbers of the code at most, active ones, and at least
STEPS = 9               # from one image to another
VALUES = (-3, -2, -1, 0, 1, 2, 3)       # that a number of the code takes, in standard deviations of the prior
STYLES, CLASSES = 8, 12     # rows and columns of what every class looks like


@dataclass(frozen=True)
class Walk:
    """A way from one image to another.

    Attributes:
        ends: (2, height, width, channels), the images.
        steps: (STEPS, ...), decoded from codes between theirs, both ends among them.
    """

    ends: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True)
class Traverse:
    """One number of an image's code set to each of VALUES.

    Attributes:
        unit: which number.
        steps: (VALUES, ...).
    """

    unit: int
    steps: np.ndarray


@dataclass(frozen=True)
class Looks:
    """All that the page shows of a model. Images that are drawn are uint8 as shrunk() makes them.

    Attributes:
        samples: draws of the prior; of a model with classes, of each in turn.
        held_out: whether the images were not trained on.
        coded: images through the model; None where there are no images, and then nothing of what follows.
        labels: (count,), the images' own classes, -1 where unknown; None where none are known.
        names: of the images' classes, by label; of some or none.
        class_names: of the model's classes; none of a model without.
        order, variance: the numbers of the code, see latent.by_activity.
        styles: (STYLES, classes, ...), draws of the prior in every class; None of a model without classes.
        transfer: (rows, 1 + classes, ...), images, then their style in every class; likewise.
    """

    samples: np.ndarray
    held_out: bool = False
    coded: Coded | None = None
    labels: np.ndarray | None = None
    names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    order: np.ndarray | None = None
    variance: np.ndarray | None = None
    walks: list[Walk] = field(default_factory=list)
    traverses: list[Traverse] = field(default_factory=list)
    styles: np.ndarray | None = None
    transfer: np.ndarray | None = None

    @property
    def active(self) -> int:
        """How many numbers of the code are in use (Burda et al. 2016)."""
        return int(latent.is_active(self.variance).sum())


def look(model: VAE, dataset: Dataset | None, seed: int) -> Looks:
    """Draw it all; the model, which has its statistics, is left in evaluation.

    Args:
        dataset: its test images are shown, or where there are none the images that were trained on; None for what needs no
            images alone.
        seed: of the draws of the prior.
    """
    model.eval()
    count = FEW_SAMPLES if max(model.image_shape[:2]) > SMALL else SAMPLES
    classes = np.arange(count) % model.classes if model.classes else None
    found = {"samples": _decoded(model, apply.prior(model, count, seed), classes), "class_names": model.names_of_classes}
    if model.classes:
        found["styles"] = _in_classes(model, apply.prior(model, STYLES, seed))
    if dataset is None:
        return Looks(**found)
    held_out = len(dataset.test_images) > 0
    images, labels = ((dataset.test_images, dataset.test_labels) if held_out else
                      (dataset.train_images, dataset.train_labels))
    count = coding.count_for(model.pixels)
    labels = None if labels is None or not (labels[:count] >= 0).any() else labels[:count].astype(np.int64)
    coded = coding.code(model, images[:count])
    order, variance = latent.by_activity(coded.mu)
    if model.classes:
        found["transfer"] = _transfer(model, coded, labels)
    return Looks(**found, held_out=held_out, coded=coded, labels=labels, names=getattr(dataset, "class_names", ()),
                 order=order, variance=variance, walks=_walks(model, coded, labels),
                 traverses=_traverses(model, coded, order, variance))


def _decoded(model: VAE, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The images of codes, see apply.decode; large ones a few at a time, of which shrunk() ones are kept."""
    size = coding.count_for(model.pixels)
    parts = [slice(start, start + size) for start in range(0, len(codes), size)]
    return np.concatenate([shrunk(apply.decode(model, codes[p], None if labels is None else labels[p])) for p in parts])


def _in_classes(model: VAE, codes: np.ndarray) -> np.ndarray:
    """Codes under the first classes: (codes, classes, ...)."""
    classes = min(model.classes, CLASSES)
    made = _decoded(model, codes.repeat(classes, axis=0), np.tile(np.arange(classes), len(codes)))
    return made.reshape(len(codes), classes, *made.shape[1:])


def _walks(model: VAE, coded: Coded, labels: np.ndarray | None) -> list[Walk]:
    """From images to the next ones, of other classes where classes are known."""
    pairs = _ends(len(coded.mu), labels)
    if not pairs:
        return []
    codes = np.concatenate([latent.between(coded.mu[a], coded.mu[b], STEPS, spherical=True) for a, b in pairs])
    shares = None
    if model.classes:       # the class goes over from one to the other, as the code does
        ends = np.eye(model.classes, dtype=np.float32)[coded.classes]
        shares = np.concatenate([latent.between(ends[a], ends[b], STEPS) for a, b in pairs])
    steps = np.split(_decoded(model, codes, shares), len(pairs))
    return [Walk(shrunk(coded.images[[a, b]]), way) for (a, b), way in zip(pairs, steps, strict=True)]


def _ends(count: int, labels: np.ndarray | None) -> list[tuple[int, int]]:
    """Which images the walks lead from and to; no image is in two of them."""
    free, pairs = list(range(count)), []
    while len(free) > 1 and len(pairs) < WALKS:
        first = free.pop(0)
        other = next((i for i in free if labels is None or labels[i] != labels[first]), free[0])
        free.remove(other)
        pairs.append((first, other))
    return pairs


def _traverses(model: VAE, coded: Coded, order: np.ndarray, variance: np.ndarray) -> list[Traverse]:
    """Of the first image's code, the most active numbers."""
    shown = min(TRAVERSES, max(FEWEST, int(latent.is_active(variance).sum())))
    units, values = order[:shown].tolist(), np.array(VALUES)
    codes = np.concatenate([latent.along(coded.mu[0], unit, values) for unit in units])
    classes = np.full(len(codes), coded.classes[0]) if model.classes else None
    steps = np.split(_decoded(model, codes, classes), len(units))
    return [Traverse(unit, way) for unit, way in zip(units, steps, strict=True)]


def _transfer(model: VAE, coded: Coded, labels: np.ndarray | None) -> np.ndarray:
    """The first image of each class beside its style in every class."""
    shown = first_of_each(coded.classes if labels is None else labels)[:STYLES]
    return np.concatenate([shrunk(coded.images[shown])[:, np.newaxis], _in_classes(model, coded.mu[shown])], axis=1)
