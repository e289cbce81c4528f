"""Models whose likelihood is known, for tests of its estimate."""

import numpy as np

from minivae import ops
from minivae.models.likelihoods import Gaussian
from minivae.models.vae import Proposal
from minivae.nn import Module
from minivae.ops.batch import DeviceImages


class LinearGaussian(Module):
    """x = W z + b + noise of deviation s with z ~ N(0, I): p(x) = N(b, W W^T + s^2 I).

    Args:
        matrix: W (pixels, codes).
        offset: added to b.
        spread: factor of the proposal's sigma; with 1 and columns of W at right angles q(z | x) is p(z | x) itself.
    """

    def __init__(self, device, matrix, s, spread=1.0, offset=0.0):
        (self.pixels, self.code), self.device, self.dtype = matrix.shape, device, np.dtype(np.float64)
        self.widest, self.draws = max(matrix.shape), 1
        self.matrix, self.s, self.b = matrix, s, offset + np.linspace(0.3, 0.6, self.pixels)
        precision = np.eye(self.code) + matrix.T @ matrix / s**2
        sigma = spread / np.sqrt(np.diag(precision))
        to_mean = np.linalg.inv(precision) @ matrix.T / s**2
        self.to_heads = device.from_host(np.ascontiguousarray(np.concatenate([to_mean, 0 * to_mean]).T))
        self.heads_at_0 = device.from_host(np.concatenate([-to_mean @ self.b, np.log(np.expm1(sigma))]))
        self.weight, self.bias = device.from_host(np.ascontiguousarray(matrix.T)), device.from_host(self.b)
        self.likelihood = Gaussian(s, device, np.float64)

    def proposals(self, x):
        return [Proposal(ops.add(ops.linear(x, self.to_heads), self.heads_at_0).data, self.reconstruction)]

    def reconstruction(self, z, x):
        return self.likelihood(ops.add(ops.linear(z, self.weight), self.bias), x)

    def log_p(self, x):
        """log N(x; b, W W^T + s^2 I) of every row."""
        covariance = self.matrix @ self.matrix.T + self.s**2 * np.eye(self.pixels)
        off = x - self.b
        return -0.5 * ((off @ np.linalg.inv(covariance) * off).sum(1) + np.linalg.slogdet(2 * np.pi * covariance)[1])


class Mixture(Module):
    """x of one of several LinearGaussians, each as probable as the others: p(x) is a mixture of normal distributions."""

    def __init__(self, *parts):
        self.parts, self.pixels, self.device, self.dtype = parts, parts[0].pixels, parts[0].device, parts[0].dtype
        self.widest, self.draws = parts[0].widest, len(parts)

    def proposals(self, x):
        return [proposal for part in self.parts for proposal in part.proposals(x)]

    def log_p(self, x):
        return np.logaddexp.reduce([part.log_p(x) for part in self.parts]) - np.log(len(self.parts))


def random_images(device, rng, count, pixels):
    """(images on the device, the same in NumPy as (count, pixels) in [0, 1])."""
    images = rng.integers(0, 256, (count, pixels, 1, 1), np.uint8)
    return DeviceImages(images, device, np.float64), images.reshape(count, pixels) / 255
