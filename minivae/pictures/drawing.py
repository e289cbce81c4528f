"""The pictures that a trained model makes: samples, reconstructions, and of models that know of classes the same style in
every class."""

from __future__ import annotations

import numpy as np

from minivae import apply
from minivae.data import Dataset
from minivae.data.dataset import first_of_each
from minivae.models import VAE, ClassVAE
from minivae.ops.reparameterize import SAMPLE, Noise
from minivae.pictures import animations, grids
from minivae.runs import PICTURES, Run

SAMPLES = 100           # images in the picture of samples
PAIRS = 50              # images in the picture of reconstructions
STYLES = 10             # rows of the pictures of styles
FRAME = 224             # pixels of an animation of one image, at least


def reconstructions(model: VAE, images: np.ndarray):
    """The picture of images (binarized as the model takes them) over their reconstructions."""
    return grids.side_by_side(*apply.reconstruct(model, images), columns=10)


def styles(model: ClassVAE, count: int, seed: int):
    """The picture of `count` styles, draws of the prior: one style a row, one class a column."""
    return grids.grid(model.styles(count, Noise(seed, 0, SAMPLE)).reshape(-1, *model.image_shape), columns=model.classes)


def transfer(model: ClassVAE, images: np.ndarray):
    """The picture of images (uint8), one a row: itself, then its style in every class."""
    own, made = apply.transfer(model, images)
    rows = np.concatenate([own[:, np.newaxis], made], axis=1)
    return grids.grid(rows.reshape(-1, *model.image_shape), columns=model.classes + 1)


def frames(images: np.ndarray) -> list:
    """The pictures of an animation of images (frames, tiles, height, width, channels): there and back, large enough."""
    scale = -(-FRAME // max(images.shape[2:4])) if images.shape[1] == 1 else None
    return animations.there_and_back([grids.square(tiles, scale) for tiles in images])


def all_of(run: Run, model: VAE, dataset: Dataset, seed: int) -> None:
    """Write source.png, reconstructions.png and samples.png into the run folder; of a model that knows of classes also
    grid.png and transfer.png, of one test image of each class. Where there are no test images, training images are shown."""
    images, labels = dataset.test_images, dataset.test_labels
    if not len(images):
        images, labels = dataset.train_images, dataset.train_labels
    drawn = {"source": grids.grid(images[:SAMPLES], columns=10),
             "reconstructions": reconstructions(model, images[:PAIRS]),
             "samples": grids.square(model.sample(SAMPLES, Noise(seed, 0, SAMPLE)))}
    if model.classes:
        shown = one_of_each(labels)
        drawn.update(grid=styles(model, STYLES, seed), transfer=transfer(model, images[shown]))
    for name, picture in drawn.items():
        grids.save(picture, run.folder / f"{name}.png")


def one_of_each(labels: np.ndarray) -> np.ndarray:
    """The first image of each class; where no image has a label, the first STYLES images."""
    shown = first_of_each(labels)
    return shown if len(shown) else np.arange(min(len(labels), STYLES))


def are_there(run: Run, labelled: bool) -> bool:
    """Whether the run folder has the pictures that all_of() writes.

    Args:
        labelled: into that of a model that knows of classes.
    """
    return all((run.folder / name).exists() for name in PICTURES[:None if labelled else 3])
