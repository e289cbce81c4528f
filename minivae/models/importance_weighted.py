"""The importance-weighted bound as what training minimizes (Burda et al. 2016, "Importance weighted autoencoders")."""

from __future__ import annotations

import math

import numpy as np

from minivae import ops
from minivae.models.likelihoods import Likelihood
from minivae.ops.reparameterize import Noise
from minivae.tensor import Tensor


def draw(heads: Tensor, example, samples: int, noise: Noise) -> tuple[Tensor, Tensor]:
    """Several codes an image, and log p(z) - log q(z | x) of each.

    Args:
        heads: (rows, 2 * code), as VAE.encode gives them.
        example: int32 array (rows,), each row's index in its data set.
        samples: an image.
        noise: which draw; sample k of example i has the noise of example i * samples + k.

    Returns:
        z: (rows * samples, code), an image's samples one below the other.
        ratio: (rows * samples,), in nats.
    """
    rows, width = heads.shape
    device = heads.device
    each = device.from_host((device.to_host(example)[:, None] * samples + np.arange(samples)).astype(np.int32).reshape(-1))
    many = ops.reshape(ops.broadcast_to(ops.reshape(heads, shape=(rows, 1, width)), shape=(rows, samples, width)),
                       shape=(rows * samples, width))
    z, _ = ops.reparameterize(many, example=each, noise=noise)
    mu, rho = ops.split(many, 2, axis=-1)
    sigma = ops.softplus(rho)
    eps = (z - mu) / sigma
    return z, ops.sum((eps**2 - z**2) * 0.5 + ops.log(sigma), axis=-1)


def bound(reconstruction: Tensor, ratio: Tensor, samples: int) -> Tensor:
    """-mean over the images of log 1/K sum_k p(x, z_k) / q(z_k | x): an upper bound of the negative log-likelihood.

    Args:
        reconstruction, ratio: (rows * samples,), -log p(x | z) and log p(z) - log q(z | x).
    """
    weights = ops.reshape(ratio - reconstruction, shape=(-1, samples))
    return math.log(samples) - ops.mean(ops.logsumexp(weights, axis=-1))
