"""Likelihoods: what the decoder's outputs say of an image, and what an image then costs."""

from __future__ import annotations

import math

import numpy as np

from minivae import ops
from minivae.device import Device
from minivae.errors import UsageError
from minivae.nn import Module, Parameter
from minivae.tensor import Tensor

LEARNED_SIGMA = 0.3     # where a sigma that is learned begins: about the pixels' standard deviation


class Likelihood(Module):
    """-log p(x | y) of images x under the decoder's outputs y.

    Attributes:
        activation: of the decoder's last layer, see ops.batch_norm.
        discrete: whether p is a probability, so that bits per pixel mean something; else a density or neither.
    """

    activation = "hard_tanh"
    discrete = False

    def forward(self, y: Tensor, x) -> Tensor:
        """The cost of every row.

        Args:
            y: (rows, pixels), the decoder's outputs.
            x: array (rows / n, pixels) in [0, 1]; n consecutive rows of y are for the same image.

        Returns:
            (rows,), in nats.
        """
        raise NotImplementedError

    def mean(self, y: np.ndarray) -> np.ndarray:
        """The expected image, in the shape of y, on the host."""
        return y

    def caveat(self, pixels: int) -> str | None:
        """Why exp(-cost) of an image of so many pixels is neither a density nor a probability; None where it is."""
        return None


class SquaredError(Likelihood):
    """sum (x - y)^2: a Gaussian with sigma^2 = 1/2, without the constant that makes it a density."""

    def forward(self, y: Tensor, x) -> Tensor:
        return ops.squared_error(y, x)

    def caveat(self, pixels: int) -> str | None:
        return (f"the squared error lacks what makes it the density of a Gaussian with sigma^2 = 1/2, log(pi)/2 nats a pixel "
                f"or {pixels * math.log(math.pi) / 2:.2f} an image")


class Gaussian(Likelihood):
    """sum (x - y)^2 / (2 sigma^2) + log sigma + log(2 pi) / 2: a density, with one sigma for all pixels.

    A learned sigma balances reconstruction against KL by itself: its optimum is the root of the mean squared error
    (Rybkin et al. 2021, "Simple and effective VAE training with calibrated decoders").

    Args:
        sigma: fixed at this; None for one that is learned.

    Attributes:
        log_sigma: of shape (1,), where it is learned.
    """

    def __init__(self, sigma: float | None, device: Device, dtype=np.float32):
        self.sigma = sigma
        if sigma is None:
            self.log_sigma = Parameter(device.from_host(np.full((1,), math.log(LEARNED_SIGMA), dtype)))

    def forward(self, y: Tensor, x) -> Tensor:
        pixels, error = x.shape[1], ops.squared_error(y, x)
        constant = 0.5 * pixels * math.log(2 * math.pi)
        if self.sigma is not None:
            return error * (0.5 / self.sigma**2) + (pixels * math.log(self.sigma) + constant)
        return error * (ops.exp(self.log_sigma * -2.0) * 0.5) + (self.log_sigma * float(pixels) + constant)


class Bernoulli(Likelihood):
    """-sum x log p + (1 - x) log(1 - p) with p = sigmoid(y): a probability where pixels are black or white."""

    activation = "identity"

    def __init__(self, binarized: bool = False):
        self.discrete = binarized

    def forward(self, y: Tensor, x) -> Tensor:
        return ops.bernoulli(y, x)

    def mean(self, y: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-np.clip(y.astype(np.float64), -700, 700)))

    def caveat(self, pixels: int) -> str | None:
        return None if self.discrete else ("the pixels are grey, of which a Bernoulli is no density: compare with the same "
                                           "cost alone, or train with --binarize")


LIKELIHOODS = ("squared-error", "gaussian", "bernoulli")    # the names on the command line


def likelihood(name: str, device: Device, dtype=np.float32, *, sigma: float | None = None, binarize: bool = False) -> Likelihood:
    """The likelihood of that name.

    Args:
        sigma: of "gaussian"; None for one that is learned.
        binarize: whether images are drawn black or white, which takes "bernoulli".

    Raises:
        UsageError: an unknown name, or a setting that it has not.
    """
    if name not in LIKELIHOODS:
        raise UsageError(f"unknown likelihood {name!r}: take one of {', '.join(LIKELIHOODS)}")
    if binarize and name != "bernoulli":
        raise UsageError(f"--binarize draws black and white pixels, which --likelihood {name} does not describe: take "
                         "--likelihood bernoulli")
    if sigma is not None and name != "gaussian":
        raise UsageError(f"--sigma belongs to --likelihood gaussian, not {name}")
    if sigma is not None and not 0 < sigma < math.inf:
        raise UsageError(f"--sigma is {sigma:g}, but must be a positive number, or be left out to be learned")
    if name == "gaussian":
        return Gaussian(sigma, device, dtype)
    return SquaredError() if name == "squared-error" else Bernoulli(binarize)
