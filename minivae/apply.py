"""A trained model over many images or codes on the host, a batch after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivae import ops
from minivae.evaluation.evaluate import batch_size
from minivae.models import VAE, ClassVAE
from minivae.ops.batch import Images
from minivae.ops.host_batch import placed
from minivae.ops.reparameterize import EVALUATE, SAMPLE, Noise, standard_normal
from minivae.tensor import no_grad


def on_device(model: VAE, images: np.ndarray) -> Images:
    """Images (count, height, width, channels) of uint8 or floats in [0, 1], as the model takes them."""
    return placed(images, model.device, model.dtype, binarize=model.likelihood.discrete)


def encode(model: VAE, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mu, sigma) of the codes of images, each (count, code); of models that know of classes, those of the most probable
    one. Where the model takes black and white pixels, they are drawn, here and below always alike for an image at the same
    place."""
    found = []
    for x in _batches(model, images):
        with no_grad():
            mu, rho = ops.split(model.encode(x), 2, axis=-1)
            found.append([model.device.to_host(part.data) for part in (mu, ops.softplus(rho))])
    mu, sigma = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return mu, sigma


def prior(model: VAE, count: int, seed: int) -> np.ndarray:
    """Draws of the prior: codes (count, code). The first ones of more are the same."""
    return model.device.to_host(standard_normal(model.device, count, model.code, Noise(seed, 0, SAMPLE), model.dtype))


def draw(model: VAE, mu: np.ndarray, sigma: np.ndarray, seed: int) -> np.ndarray:
    """A draw of the code of each image, (count, code), from the means and standard deviations that encode() gives."""
    return mu + sigma * prior(model, len(mu), seed)


def reconstruct(model: VAE, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the model takes of images, and its reconstructions: (count, height, width, channels) in [0, 1], both."""
    shown, made = zip(*((model.device.to_host(x), model.reconstruct(x)) for x in _batches(model, images)), strict=True)
    return np.concatenate(shown).reshape(images.shape), np.concatenate(made)


def classify(model: ClassVAE, images: np.ndarray) -> np.ndarray:
    """The probability of every class, (count, classes), of images."""
    return np.concatenate([model.classify(x) for x in _batches(model, images)])


def transfer(model: ClassVAE, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the model takes of images, (count, height, width, channels), and that in every class, in the same style: (count,
    classes, height, width, channels), both in [0, 1]."""
    shown, made = zip(*((model.device.to_host(x), model.transfer(x))
                        for x in _batches(model, images, max(1, batch_size(model) // model.classes))), strict=True)
    return np.concatenate(shown).astype(np.float32).reshape(images.shape), np.concatenate(made)


def decode(model: VAE, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The images of codes (count, code): (count, height, width, channels) in [0, 1].

    Args:
        labels: of a model that knows of classes, whole numbers (count,), or how much each class counts, floats
            (count, classes).

    Raises:
        UsageError: a label that is no class.
    """
    model.eval()
    images = []
    size = batch_size(model)
    for start in range(0, len(codes), size):
        part = slice(start, start + size)
        classes = () if labels is None else (_matrix(model, labels[part]),)
        with no_grad():
            images.append(model.images(model.decode(model.device.from_host(codes[part]), *classes)))
    return np.concatenate(images)


def _matrix(model: ClassVAE, labels: np.ndarray):
    """The device matrix (rows, classes) that the decoder takes."""
    return model.one_hot(labels) if labels.ndim == 1 else model.device.from_host(labels.astype(model.dtype))


def _batches(model: VAE, images: np.ndarray, size: int | None = None) -> Iterator:
    """What the model takes of images, device arrays (rows, pixels); it is left in evaluation."""
    model.eval()
    held = on_device(model, images)
    for start, count in held.ranges(size or batch_size(model)):
        yield held.batch(start, count, Noise(0, 0, EVALUATE))[0]
