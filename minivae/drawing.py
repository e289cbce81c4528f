"""The pictures that a trained model makes: samples, reconstructions, and of models that know of classes the same style in
every class."""

from __future__ import annotations

import numpy as np

from minivae import apply, pictures
from minivae.data import Dataset
from minivae.models import VAE, ClassVAE
from minivae.ops.reparameterize import EVALUATE, SAMPLE, Noise
from minivae.runs import PICTURES, Run

SAMPLES = 100           # images in the picture of samples
PAIRS = 50              # images in the picture of reconstructions
STYLES = 10             # rows of the pictures of styles


def reconstructions(model: VAE, images: np.ndarray):
    """The picture of images (binarized as the model takes them) over their reconstructions."""
    return pictures.side_by_side(*apply.reconstruct(model, images), columns=10)


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
             "reconstructions": reconstructions(model, dataset.test_images[:PAIRS]),
             "samples": pictures.square(model.sample(SAMPLES, Noise(seed, 0, SAMPLE)))}
    if model.classes:
        shown = np.unique(dataset.test_labels, return_index=True)[1]
        drawn.update(grid=styles(model, STYLES, seed), transfer=transfer(model, dataset.test_images[shown]))
    for name, picture in drawn.items():
        pictures.save(picture, run.folder / f"{name}.png")


def are_there(run: Run) -> bool:
    """Whether the run folder has the pictures that every run has."""
    return all((run.folder / name).exists() for name in PICTURES[:3])


def _as_taken(model: VAE, images: np.ndarray):
    """Images (uint8) as the model takes them, (rows, pixels)."""
    return apply.on_device(model, images).batch(0, len(images), Noise(0, 0, EVALUATE))[0]
