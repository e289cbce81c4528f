"""Models: what all variational autoencoders share (vae.py), likelihoods, one module an architecture, and those that know of
classes (semi.py, m2.py)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivae.device import Device
from minivae.errors import UsageError
from minivae.models import likelihoods
from minivae.models.conv import Convolutional
from minivae.models.ff import FeedForward
from minivae.models.likelihoods import LIKELIHOODS
from minivae.models.m2 import M2
from minivae.models.semi import ClassVAE, SemiSupervised
from minivae.models.vae import VAE, Cost, Place, Weights
from minivae.nn import Summary, summarize
from minivae.ops.reparameterize import Noise

ARCHITECTURES = {"ff": FeedForward, "conv": Convolutional}     # the names on the command line
SEMI = {"shared": SemiSupervised, "m2": M2}                     # likewise
MOST = 1 << 24      # of each of a model's sizes: two such make more numbers than fit in memory, but none that no array can have

__all__ = ["ARCHITECTURES", "LIKELIHOODS", "M2", "SEMI", "VAE", "ClassVAE", "Convolutional", "Cost", "FeedForward", "Place",
           "SemiSupervised", "Weights", "build", "summary"]


def build(arch: str, image_shape: tuple[int, int, int], device: Device, *, hidden: Sequence[int] | None = None,
          channels: Sequence[int] | None = None, code: int | None = None, likelihood: str = "squared-error",
          sigma: float | None = None, binarize: bool = False, classes: int = 0, semi: str = "shared",
          seed: int = 0, dtype=np.float32) -> VAE:
    """An untrained model.

    Args:
        arch: a key of ARCHITECTURES.
        image_shape: (height, width, channels).
        hidden, channels, code: sizes; None for the architecture's own.
        likelihood, sigma, binarize: see likelihoods.likelihood.
        classes: how many classes the images have; 0 for a model that knows of none.
        semi: a key of SEMI, which model where there are classes.
        seed: of the initial weights.
        dtype: of all parameters, float32 or float64.

    Raises:
        UsageError: settings that no model can have.
    """
    networks = ARCHITECTURES[arch]
    told = {"hidden": hidden, "channels": channels, "code": code}
    sizes = {**networks.SIZES, **{name: value for name, value in told.items() if value is not None}}
    for name, size in ((name, size) for name, value in sizes.items() for size in (value if isinstance(value, tuple) else (value,))):
        if size > MOST:
            raise UsageError(f"--{name} is {size}, but must be at most {MOST}")
    code, place = sizes.pop("code"), Place(np.random.default_rng(seed), device, np.dtype(dtype))
    costs = likelihoods.likelihood(likelihood, device, dtype, sigma=sigma, binarize=binarize)
    made = networks(image_shape, **sizes)
    if classes == 0:
        return VAE(made, image_shape, code, costs, place)
    if semi not in SEMI:
        raise UsageError(f"unknown semi-supervised model {semi!r}: take one of {', '.join(SEMI)}")
    return SEMI[semi](made, image_shape, code, classes, costs, place)


def summary(arch: str, image_shape: tuple[int, ...], device: Device, batch_size: int = 1, depth: int = 1, **sizes) -> Summary:
    """The summary of an architecture with a forward pass, on empty images, to their cost.

    Args:
        arch: a key of ARCHITECTURES.
        image_shape: (height, width, channels).
        batch_size: how many images.
        depth: see nn.summarize.
        sizes: of the model, as build() takes them.

    Raises:
        UsageError: sizes that no model can have.
    """
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise UsageError(f"--image is {','.join(map(str, image_shape))}, but must be height, width and channels, each at least 1")
    model = build(arch, image_shape, device, **sizes)
    x, example = device.zeros((batch_size, model.pixels), model.dtype), device.zeros((batch_size,), np.int32)
    return summarize(model, x, example, Noise(0, 0), depth=depth)
