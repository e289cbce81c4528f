"""Images through a model once: their codes, their reconstructions and what those cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivae import apply, ops
from minivae.evaluation.evaluate import batch_size
from minivae.models import VAE
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.tensor import no_grad

IMAGES = 1000           # at most, fewer of large ones:
NUMBERS = 8_000_000     # pixels times channels of all of them,
FEWEST = 16             # but no fewer


class Coded(NamedTuple):
    """Images and what the model makes of each.

    Attributes:
        images: (count, height, width, channels) in [0, 1], as the model takes them.
        made: the reconstructions from the mean codes, likewise.
        mu, sigma: (count, code).
        cost: (count,), of the reconstructions, in nats.
        classes: (count,), the most probable ones, of a model that knows of classes; None of others.
    """

    images: np.ndarray
    made: np.ndarray
    mu: np.ndarray
    sigma: np.ndarray
    cost: np.ndarray
    classes: np.ndarray | None

    @property
    def kl(self) -> np.ndarray:
        """The KL of each number of the code, (code,), a mean over the images, in nats."""
        mu, sigma = self.mu.astype(np.float64), self.sigma.astype(np.float64)
        with np.errstate(divide="ignore", over="ignore"):
            return ((mu**2 + sigma**2 - 1) / 2 - np.log(sigma)).mean(0)


def count_for(pixels: int) -> int:
    """How many images of so many numbers are coded at most."""
    return min(IMAGES, max(FEWEST, NUMBERS // pixels))


def code(model: VAE, images: np.ndarray) -> Coded:
    """All of it, for images (count, height, width, channels), uint8 or floats in [0, 1]; the model is left in evaluation."""
    model.eval()
    held = apply.on_device(model, images)
    parts = []
    with no_grad():
        for start, size in held.ranges(batch_size(model)):
            x = held.batch(start, size, Noise(0, 0, EVALUATE))[0]
            parts.append(_code(model, x))
    *numbers, classes = zip(*parts, strict=True)
    return Coded(*map(np.concatenate, numbers), np.concatenate(classes) if model.classes else None)


def _code(model: VAE, x) -> tuple:
    host, classes, labels = model.device.to_host, None, ()
    if model.classes:
        classes = model.classify(x).argmax(1)
        labels = (model.one_hot(classes),)
    mu, rho = ops.split(model.encode(x, *labels), 2, axis=-1)
    mu, sigma = host(mu.data), host(ops.softplus(rho).data)
    y = model.decode(model.device.from_host(np.ascontiguousarray(mu)), *labels)
    images = host(x).astype(np.float32).reshape(-1, *model.image_shape)
    return images, model.images(y), mu, sigma, host(model.likelihood(y, x).data), classes
