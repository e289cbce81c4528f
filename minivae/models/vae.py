"""What all variational autoencoders share: the cost, samples, reconstructions (Kingma & Welling 2014)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from minivae import ops
from minivae.device import Device
from minivae.errors import UsageError
from minivae.models import importance_weighted
from minivae.models.likelihoods import Likelihood
from minivae.nn import Dense, Joint, Module
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.parallel.group import Group
from minivae.tensor import Tensor, no_grad


class Place(NamedTuple):
    """What every layer is made with: where its initial weights come from, where they live and in which dtype."""

    rng: np.random.Generator
    device: Device
    dtype: np.dtype


class Networks(Protocol):
    """An architecture: the two networks around the code, see ff.py and conv.py.

    Attributes:
        width: of what the encoder gives.
        widest: the most numbers that a layer makes of an image.
    """

    width: int
    widest: int

    def encoder(self, place: Place) -> Module: ...
    def decoder(self, inputs: int, activation: str, place: Place) -> Module: ...


class Weights(NamedTuple):
    """What of the cost is minimized; what is reported is the whole of it, always.

    Attributes:
        beta: factor of the KL divergence (Higgins et al. 2017, "beta-VAE"); below 1 in a warm-up (Bowman et al. 2016).
        samples: codes an image; from 2 on the importance-weighted bound is minimized (see importance_weighted.py), to
            which beta and free bits do not belong.
        free_bits: nats that the mean KL of each number of the code has for free (Kingma et al. 2016, appendix C.8).
        label: factor of the cross-entropy of a batch's labelled images, see semi.py.
        label_kl: factor of the KL divergence of predicted classes from the uniform distribution; None for the model's own.
        consistency, shift, mirror, erase: factor of the cost of predictions that a move by up to `shift` pixels, a mirror, and
            an erased square of `erase` pixels a side change, see semi.py; 0 for none.
    """

    beta: float = 1.0
    free_bits: float = 0.0
    samples: int = 1
    label: float = 1.0
    label_kl: float | None = None
    consistency: float = 0.0
    shift: int = 0
    mirror: bool = False
    erase: int = 0


class Cost(NamedTuple):
    """The cost of a batch.

    Attributes:
        total: Tensor of one element, what training minimizes: the mean over the batch of reconstruction + KL, under
            the Weights that were given; in nats per image.
        reconstruction, kl: arrays (rows,), each example's two parts; their sum is minus the evidence lower bound.
    """

    total: Tensor
    reconstruction: object
    kl: object


class Proposal(NamedTuple):
    """Where codes of a batch's images are drawn for their likelihood, see evaluation/importance.py.

    Attributes:
        heads: array (rows, 2 * code) of N(mu, sigma^2), as VAE.encode gives them.
        cost: -log p(x | z), (n,), in nats, of codes z (n, code) and images x, as VAE.reconstruction takes them.
        decoded: rows that the decoder makes for a code.
    """

    heads: object
    cost: Callable[[object, object], Tensor]
    decoded: int = 1


class VAE(Joint):
    """An encoder, heads, a decoder, and the cost between them.

    The two heads are one product: mu in the first half of its columns, rho in the second, sigma = softplus(rho).

    Args:
        networks: the architecture.
        image_shape: (height, width, channels).
        code: how many numbers a code has, >= 1.
        likelihood: see likelihoods.py.
        place: its rng draws all initial weights, the encoder's first.
        beside: how many numbers the decoder takes beside a code.

    Attributes:
        draws: how many codes the cost decodes for an image.
        widest: the most numbers that a layer makes of an image and one code.
        classes: how many classes of images the model knows; see semi.py.
        class_names: what those are called, where the data say it; else empty.
        bound_caveat: why reconstruction + KL is no bound on -log p(x); None where it is one.

    Raises:
        UsageError: a code size below 1.
    """

    draws, classes = 1, 0
    class_names: tuple[str, ...] = ()
    bound_caveat: str | None = None

    def __init__(self, networks: Networks, image_shape: tuple[int, int, int], code: int, likelihood: Likelihood, place: Place,
                 beside: int = 0):
        if code < 1:
            raise UsageError(f"--code is {code}, but a code needs at least 1 number")
        self.image_shape, self.pixels, self.code = tuple(image_shape), math.prod(image_shape), code
        self.device, self.dtype = place.device, np.dtype(place.dtype)
        self.encoder = networks.encoder(place)
        self.heads = Dense(networks.width, 2 * code, "identity", *place, heads=2)
        self.decoder = networks.decoder(code + beside, likelihood.activation, place)
        self.likelihood = likelihood
        self.widest = max(networks.widest, 2 * code)

    @property
    def names_of_classes(self) -> tuple[str, ...]:
        """What each class is called: its name, or its number where they have none."""
        return self.class_names or tuple(map(str, range(self.classes)))

    def encode(self, x) -> Tensor:
        """Heads (rows, 2 * code), mu beside rho with sigma = softplus(rho), of images x (rows, pixels)."""
        return self.heads(self.encoder(x))

    def decode(self, z) -> Tensor:
        """What the likelihood takes, (rows, pixels), of codes z (rows, code)."""
        return self.decoder(z)

    def reconstruction(self, z, x) -> Tensor:
        """-log p(x | z) of every code z (rows, code), in nats: (rows,).

        Args:
            x: array (rows / n, pixels); n consecutive codes are for the same image.
        """
        return self.likelihood(self.decode(z), x)

    def proposals(self, x) -> list[Proposal]:
        """What stands for q(z | x) in the likelihood of images x (rows, pixels), `draws` of them: p(x) is the mean, over the
        proposals, of the expectation of p(x | z) p(z) / q(z)."""
        return [Proposal(self.encode(x).data, self.reconstruction)]

    def forward(self, x, example, noise: Noise, weights: Weights = Weights()) -> Cost:
        """The cost of a batch; see cost()."""
        return self.cost(x, example, noise, weights)

    def cost(self, x, example, noise: Noise, weights: Weights = Weights()) -> Cost:
        """The cost of a batch, with one draw of the code an example, or as many as the weights say.

        Args:
            x: array (rows, pixels) in [0, 1].
            example: int32 array (rows,), each row's index in its data set.
            noise: which draw.
            weights: what is minimized.
        """
        heads = self.encode(x)
        if weights.samples > 1:
            return self._importance_weighted(heads, x, example, noise, weights.samples)
        z, kl = ops.reparameterize(heads, example=example, noise=noise)
        reconstruction = self.reconstruction(z, x)
        return Cost(objective(reconstruction, kl, heads, weights, self.group), reconstruction.data, kl.data)

    def _importance_weighted(self, heads: Tensor, x, example, noise: Noise, samples: int) -> Cost:
        drawn = importance_weighted.draw(heads, example, samples, noise)
        reconstruction = self.likelihood(self.decode(drawn.z), x)
        parts = (ops.mean(ops.reshape(part.detach(), (-1, samples)), axis=1).data for part in (reconstruction, drawn.kl))
        return Cost(importance_weighted.bound(reconstruction, drawn.ratio, samples), *parts)

    def reconstruct(self, x) -> np.ndarray:
        """Images decoded from the mean codes of images x (rows, pixels): (rows, height, width, channels) in [0, 1]."""
        with no_grad():
            mu = self.device.to_host(self.encode(x).data)[:, :self.code]
            return self.images(self.decode(self.device.from_host(np.ascontiguousarray(mu))))

    def sample(self, count: int, noise: Noise) -> np.ndarray:
        """Images decoded from `count` draws of the prior: (count, height, width, channels) in [0, 1]."""
        with no_grad():
            return self.images(self.decode(standard_normal(self.device, count, self.code, noise, self.dtype)))

    def images(self, y: Tensor) -> np.ndarray:
        """The images (rows, height, width, channels) in [0, 1], float32, that the decoder's outputs y stand for."""
        values = self.likelihood.mean(self.device.to_host(y.data)).reshape(-1, *self.image_shape)
        return np.clip(values, 0, 1).astype(np.float32)


def objective(reconstruction: Tensor, kl: Tensor, heads: Tensor, weights: Weights, group: Group,
              share: Tensor | None = None) -> Tensor:
    """mean(reconstruction) + beta * KL; with free bits sum_l max(mean KL_l, free_bits) in place of the KL.

    Args:
        reconstruction, kl: (rows,).
        heads: (rows * n, 2 * code), what the KL is of.
        group: the processes that have the batch's rows.
        share: (rows, n), how much each of a row's n codes counts; None for one that counts whole.
    """
    if weights.free_bits:
        every = kl_of_codes(heads)
        if share is not None:
            every = ops.reshape(every, (*share.shape, -1)) * ops.reshape(share, (*share.shape, 1))
            every = ops.sum(every, axis=1)
        reached = ops.maximum(ops.batch_mean(every, group), weights.free_bits)
        return ops.mean(reconstruction) + ops.sum(reached) * weights.beta
    return ops.mean(ops.add(reconstruction, kl if weights.beta == 1 else kl * weights.beta))


def kl_of_codes(heads: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) of every number of every code, (rows, code); heads as VAE.encode gives them."""
    mu, rho = ops.split(heads, 2, axis=-1)
    sigma = ops.softplus(rho)
    return (mu**2 + sigma**2 - 1) * 0.5 - ops.log(sigma)
