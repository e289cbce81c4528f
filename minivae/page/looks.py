"""What is drawn from a model for its page: images on the host, a bounded number of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from minivae import apply, latent
from minivae.data import Dataset
from minivae.models import VAE
from minivae.ops.reparameterize import SAMPLE, Noise, standard_normal
from minivae.page import coding
from minivae.page.coding import Coded

SMALL = 48              # pixels of the longer side, up to which images are shown many at a time
STEPS = 9               # between two images, and of a number of the code
WALKS, TRAVERSES = 8, 10
REACH = 3.0             # standard deviations of the prior that a number of the code is moved each way
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
    """One number of an image's code moved from -REACH to REACH.

    Attributes:
        unit: which number.
        steps: (STEPS, ...).
    """

    unit: int
    steps: np.ndarray


@dataclass(frozen=True)
class Looks:
    """All that the page shows of a model.

    Attributes:
        samples: draws of the prior; of a model with classes, of each in turn.
        held_out: whether the images were not trained on.
        coded: images through the model; None where there are no images, and then nothing of what follows.
        labels: (count,), the images' own classes, -1 where unknown; None where none are known.
        names: of the classes, by label.
        order, variance: the numbers of the code, see latent.by_activity.
        styles: (STYLES, classes, ...), one draw of the prior in every class; transfer: (rows, 1 + classes, ...), images, then
            their style in every class. None of a model without classes.
    """

    samples: np.ndarray
    held_out: bool = False
    coded: Coded | None = None
    labels: np.ndarray | None = None
    names: tuple[str, ...] = ()
    order: np.ndarray | None = None
    variance: np.ndarray | None = None
    walks: list[Walk] = field(default_factory=list)
    traverses: list[Traverse] = field(default_factory=list)
    styles: np.ndarray | None = None
    transfer: np.ndarray | None = None

    @property
    def active(self) -> int:
        """How many numbers of the code are in use (Burda et al. 2016)."""
        return int((self.variance > latent.ACTIVE).sum())


def look(model: VAE, dataset: Dataset | None, seed: int) -> Looks:
    """Draw it all; the model, which has its statistics, is left in evaluation.

    Args:
        dataset: its test images are shown, or where there are none the images that were trained on; None for what needs no
            images alone.
        seed: of the draws of the prior.
    """
    model.eval()
    few = max(model.image_shape[:2]) > SMALL
    noise = Noise(seed, 0, SAMPLE)
    found = {"samples": model.sample(48 if few else 96, noise)}
    if model.classes:
        found["styles"] = _styles(model, noise)
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
    return Looks(**found, held_out=held_out, coded=coded, labels=labels, names=tuple(getattr(dataset, "class_names", None) or ()),
                 order=order, variance=variance, walks=_walks(model, coded, labels), traverses=_traverses(model, coded, order))


def _styles(model: VAE, noise: Noise) -> np.ndarray:
    """Draws of the prior, each in the first classes."""
    classes, device = min(model.classes, CLASSES), model.device
    codes = device.to_host(standard_normal(device, STYLES, model.code, noise, model.dtype))
    made = apply.decode(model, codes.repeat(classes, axis=0), np.tile(np.arange(classes), STYLES))
    return made.reshape(STYLES, classes, *model.image_shape)


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
    steps = apply.decode(model, codes, shares).reshape(len(pairs), STEPS, *model.image_shape)
    return [Walk(coded.images[[a, b]], way) for (a, b), way in zip(pairs, steps, strict=True)]


def _ends(count: int, labels: np.ndarray | None) -> list[tuple[int, int]]:
    """Which images the walks lead from and to; no image is in two of them."""
    free, pairs = list(range(count)), []
    while len(free) > 1 and len(pairs) < WALKS:
        first = free.pop(0)
        other = next((i for i in free if labels is None or labels[i] != labels[first]), free[0])
        free.remove(other)
        pairs.append((first, other))
    return pairs


def _traverses(model: VAE, coded: Coded, order: np.ndarray) -> list[Traverse]:
    """Of the first image's code, the most active numbers."""
    units, values = order[:TRAVERSES].tolist(), np.linspace(-REACH, REACH, STEPS)
    codes = np.concatenate([latent.along(coded.mu[0], unit, values) for unit in units])
    classes = np.full(len(codes), coded.classes[0]) if model.classes else None
    steps = apply.decode(model, codes, classes).reshape(len(units), STEPS, *model.image_shape)
    return [Traverse(unit, way) for unit, way in zip(units, steps, strict=True)]


def _transfer(model: VAE, coded: Coded, labels: np.ndarray | None) -> np.ndarray:
    """The first image of each class beside its style in every class."""
    own, first = np.unique(coded.classes if labels is None else labels, return_index=True)
    shown = first[own >= 0][:STYLES]
    classes = min(model.classes, CLASSES)
    codes = coded.mu[shown].repeat(classes, axis=0)
    made = apply.decode(model, codes, np.tile(np.arange(classes), len(shown)))
    made = made.reshape(len(shown), classes, *model.image_shape)
    return np.concatenate([coded.images[shown][:, np.newaxis], made], axis=1)
