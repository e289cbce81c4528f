"""The importance-weighted bound as what training minimizes (Burda et al. 2016, "Importance weighted autoencoders")."""

from __future__ import annotations

import math
from typing import NamedTuple

from minivae import ops
from minivae.ops.reparameterize import Noise
from minivae.ops.shape import repeat_rows
from minivae.tensor import Tensor


class Drawn(NamedTuple):
    """Several codes an image, an image's samples one below the other.

    Attributes:
        z: (rows * samples, code).
        kl: (rows * samples,), KL(q(z | x) || p(z)) of the row's image.
        ratio: (rows * samples,), log p(z) - log q(z | x), in nats: of this draw; its expectation is -kl.
    """

    z: Tensor
    kl: Tensor
    ratio: Tensor


def draw(heads: Tensor, example, samples: int, noise: Noise) -> Drawn:
    """Codes of images, so many of each.

    Args:
        heads: (rows, 2 * code), as VAE.encode gives them.
        example: int32 array (rows,), each row's index in its data set.
        noise: which draw; see ops.reparameterize.
    """
    many = repeat_rows(heads, samples)
    z, kl = ops.reparameterize(many, example=example, noise=noise)
    mu, rho = ops.split(many, 2, axis=-1)
    sigma = ops.softplus(rho)
    eps = (z - mu) / sigma
    return Drawn(z, kl, ops.sum((eps**2 - z**2) * 0.5 + ops.log(sigma), axis=-1))


def bound(reconstruction: Tensor, ratio: Tensor, samples: int) -> Tensor:
    """-mean over the images of log 1/K sum_k p(x, z_k) / q(z_k | x): above the negative log-likelihood, and below the
    negative ELBO in expectation (their equations 8 and 9).

    Args:
        reconstruction, ratio: (rows * samples,), -log p(x | z) and log p(z) - log q(z | x).
    """
    return math.log(samples) - ops.mean(ops.logsumexp(ops.reshape(ratio - reconstruction, (-1, samples)), axis=-1))
