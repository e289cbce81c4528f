"""What all variational autoencoders share: the cost, samples, reconstructions (Kingma & Welling 2014)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from minivae import ops
from minivae.device import Device
from minivae.errors import UsageError
from minivae.nn import Module
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.tensor import Tensor, no_grad

LIKELIHOODS = {"squared-error": (ops.squared_error, "hard_tanh"), "bernoulli": (ops.bernoulli, "identity")}


class Cost(NamedTuple):
    """The cost of a batch.

    Attributes:
        total: Tensor of one element, the mean over the batch of reconstruction + KL, in nats per image.
        reconstruction, kl: arrays (rows,), each example's two parts.
    """

    total: Tensor
    reconstruction: object
    kl: object


class VAE(Module):
    """An encoder, a decoder, and the cost between them; subclasses build the two.

    Args:
        image_shape: (height, width, channels).
        code: how many numbers a code has, >= 1.
        likelihood: "squared-error" (the sum of squared differences, outputs clipped to [-1, 1]) or "bernoulli"
            (outputs are logits).
        device, dtype: where the parameters live, and whether in float32 or float64.

    Raises:
        UsageError: a size below 1, or an unknown likelihood.
    """

    def __init__(self, image_shape: tuple[int, int, int], code: int, likelihood: str, device: Device, dtype=np.float32):
        if likelihood not in LIKELIHOODS:
            raise UsageError(f"unknown likelihood {likelihood!r}: take one of {', '.join(LIKELIHOODS)}")
        if code < 1:
            raise UsageError(f"the code size is {code}, but a code needs at least 1 number")
        self.image_shape, self.pixels = tuple(image_shape), math.prod(image_shape)
        self.code, self.likelihood = code, likelihood
        self.device, self.dtype = device, np.dtype(dtype)
        self.loss, self.output_activation = LIKELIHOODS[likelihood]

    def encode(self, x) -> Tensor:
        """Heads (rows, 2 * code), mu beside rho with sigma = softplus(rho), of images x (rows, pixels)."""
        raise NotImplementedError

    def decode(self, z) -> Tensor:
        """What the likelihood takes, (rows, pixels), of codes z (rows, code)."""
        raise NotImplementedError

    def forward(self, x, example, noise: Noise) -> Cost:
        """The cost of a batch; see cost()."""
        return self.cost(x, example, noise)

    def cost(self, x, example, noise: Noise) -> Cost:
        """The cost of a batch, with one draw of the code an example.

        Args:
            x: array (rows, pixels) in [0, 1].
            example: int32 array (rows,), each row's index in its data set.
            noise: which draw.
        """
        z, kl = ops.reparameterize(self.encode(x), example=example, noise=noise)
        reconstruction = self.loss(self.decode(z), x)
        return Cost(ops.mean(ops.add(reconstruction, kl)), reconstruction.data, kl.data)

    def reconstruct(self, x) -> np.ndarray:
        """Images decoded from the mean codes of images x (rows, pixels): (rows, height, width, channels) in [0, 1]."""
        with no_grad():
            mu = self.device.to_host(self.encode(x).data)[:, :self.code]
            return self._images(self.decode(self.device.from_host(np.ascontiguousarray(mu))))

    def sample(self, count: int, noise: Noise) -> np.ndarray:
        """Images decoded from `count` draws of the prior: (count, height, width, channels) in [0, 1]."""
        with no_grad():
            return self._images(self.decode(standard_normal(self.device, count, self.code, noise, self.dtype)))

    def _images(self, y: Tensor) -> np.ndarray:
        values = self.device.to_host(y.data).reshape(-1, *self.image_shape)
        if self.likelihood == "bernoulli":
            values = 1 / (1 + np.exp(-values.astype(np.float64)))
        return np.clip(values, 0, 1).astype(np.float32)
