"""The pictures that a trained model makes: samples, reconstructions, and of models that know of classes the same style in
every class."""

from __future__ import annotations

import math

import numpy as np

from minivae import pictures
from minivae.data import Dataset
from minivae.models import VAE, ClassVAE
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import EVALUATE, SAMPLE, Noise
from minivae.runs import Run

SAMPLES = 100           # images in the picture of samples
PAIRS = 50              # images in the picture of reconstructions
STYLES = 10             # rows of the pictures of styles


def samples(model: VAE, count: int, seed: int, label: int | None = None):
    """The picture of `count` samples from the prior.

    Args:
        label: the class of all of them, of a model that knows of classes; None for the classes in turn.
    """
    noise = Noise(seed, 0, SAMPLE)
    drawn = model.sample(count, noise) if label is None else model.sample(count, noise, label)
    return pictures.grid(drawn, columns=max(1, math.ceil(math.sqrt(count))))


def reconstructions(model: VAE, images: np.ndarray):
    """The picture of test images (uint8; binarized as the model takes them) over their reconstructions."""
    x = _as_taken(model, images)
    return pictures.side_by_side(model.device.to_host(x).reshape(images.shape), model.reconstruct(x), columns=10)


def styles(model: ClassVAE, count: int, seed: int):
    """The picture of `count` styles, draws of the prior: one style a row, one class a column."""
    return pictures.grid(model.styles(count, Noise(seed, 0, SAMPLE)).reshape(-1, *model.image_shape), columns=model.classes)


def transfer(model: ClassVAE, images: np.ndarray):
    """The picture of images (uint8), one a row: itself, then its style in every class."""
    x = _as_taken(model, images)
    own = model.device.to_host(x).astype(np.float32).reshape(len(images), 1, *model.image_shape)
    rows = np.concatenate([own, model.transfer(x)], axis=1)
    return pictures.grid(rows.reshape(-1, *model.image_shape), columns=model.classes + 1)


def all_of(run: Run, model: VAE, dataset: Dataset, seed: int) -> None:
    """Write source.png, reconstructions.png and samples.png into the run folder; of a model that knows of classes also
    grid.png and transfer.png, of one test image of each class."""
    drawn = {"source": pictures.grid(dataset.test_images[:SAMPLES], columns=10),
             "reconstructions": reconstructions(model, dataset.test_images[:PAIRS]), "samples": samples(model, SAMPLES, seed)}
    if model.classes:
        shown = np.unique(dataset.test_labels, return_index=True)[1]
        drawn.update(grid=styles(model, STYLES, seed), transfer=transfer(model, dataset.test_images[shown]))
    for name, picture in drawn.items():
        pictures.save(picture, run.folder / f"{name}.png")


def _as_taken(model: VAE, images: np.ndarray):
    """Images (uint8) as the model takes them, (rows, pixels)."""
    shown = DeviceImages(images, model.device, model.dtype, binarize=model.likelihood.discrete)
    return shown.batch(0, len(images), Noise(0, 0, EVALUATE))[0]
