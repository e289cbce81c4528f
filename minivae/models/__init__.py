"""Models: what all variational autoencoders share (vae.py), and one module an architecture."""

from __future__ import annotations

import numpy as np

from minivae.device import Device
from minivae.errors import UsageError
from minivae.models.conv import Convolutional
from minivae.models.ff import FeedForward
from minivae.models.vae import VAE
from minivae.nn import Summary, summarize
from minivae.ops.reparameterize import Noise

ARCHITECTURES = {"ff": FeedForward, "conv": Convolutional}     # the names on the command line

__all__ = ["ARCHITECTURES", "VAE", "Convolutional", "FeedForward", "summary"]


def summary(arch: str, image_shape: tuple[int, ...], device: Device, batch_size: int = 1, depth: int = 1, **sizes) -> Summary:
    """The summary of an architecture with a forward pass, on empty images, to their cost.

    Args:
        arch: a key of ARCHITECTURES.
        image_shape: (height, width, channels).
        batch_size: how many images.
        depth: see nn.summarize.
        sizes: of the model, as its class takes them.

    Raises:
        UsageError: sizes that no model can have.
    """
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise UsageError(f"--image is {','.join(map(str, image_shape))}, but must be height, width and channels, each at least 1")
    model = ARCHITECTURES[arch](image_shape, device, **sizes)
    x, example = device.zeros((batch_size, model.pixels), model.dtype), device.zeros((batch_size,), np.int32)
    return summarize(model, x, example, Noise(0, 0), depth=depth)
