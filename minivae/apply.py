"""A trained model over many images or codes on the host, a batch after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minivae import ops
from minivae.evaluate import batch_size
from minivae.models import VAE, ClassVAE
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.tensor import no_grad


def on_device(model: VAE, images: np.ndarray) -> DeviceImages:
    """Images (count, height, width, channels) of uint8 or floats in [0, 1], as the model takes them."""
    return DeviceImages(images, model.device, model.dtype, binarize=model.likelihood.discrete)


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


def reconstruct(model: VAE, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the model takes of images, and its reconstructions: (count, height, width, channels) in [0, 1], both."""
    shown, made = zip(*((model.device.to_host(x), model.reconstruct(x)) for x in _batches(model, images)), strict=True)
    return np.concatenate(shown).reshape(images.shape), np.concatenate(made)


def classify(model: ClassVAE, images: np.ndarray) -> np.ndarray:
    """The probability of every class, (count, classes), of images."""
    return np.concatenate([model.classify(x) for x in _batches(model, images)])


def decode(model: VAE, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """The images of codes (count, code): (count, height, width, channels) in [0, 1].

    Args:
        labels: whole numbers (count,), the classes, of a model that knows of them.

    Raises:
        UsageError: a label that is no class.
    """
    model.eval()
    images = []
    size = batch_size(model)
    for start in range(0, len(codes), size):
        part = slice(start, start + size)
        classes = () if labels is None else (model.one_hot(labels[part]),)
        with no_grad():
            images.append(model.images(model.decode(model.device.from_host(codes[part]), *classes)))
    return np.concatenate(images)


def _batches(model: VAE, images: np.ndarray) -> Iterator:
    """What the model takes of images, device arrays (rows, pixels); it is left in evaluation."""
    model.eval()
    held = on_device(model, images)
    for start, size in held.ranges(batch_size(model)):
        yield held.batch(start, size, Noise(0, 0, EVALUATE))[0]
