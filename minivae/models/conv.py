"""The convolutional VAE: convolutions and pools down to a dense layer, and back up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minivae import ops
from minivae.device import Device
from minivae.errors import UsageError
from minivae.models.vae import VAE
from minivae.nn import Conv, Dense
from minivae.tensor import Tensor

CHANNELS = (64, 128)
HIDDEN = (512,)
CODE = 512


class Convolutional(VAE):
    """Per entry of `channels`: convolution 3 x 3, ReLU, max-pool 2; dense layers, tanh on the last; heads; and back
    up: dense to the smallest image, ReLU; per entry upsampling by 2 and convolution 3 x 3, ReLU, the last with the
    likelihood's own activation.

    Args:
        image_shape: (height, width, channels), both sizes multiples of 2 ** len(channels).
        channels: of the convolutions.
        hidden: sizes of the dense layers between the smallest image and the heads.
        code, likelihood, device, dtype: see VAE.
        seed: of the initial weights.

    Raises:
        UsageError: a size below 1, an image that the pools do not divide, or an unknown likelihood.
    """

    SIZES = {"hidden": HIDDEN, "code": CODE, "channels": CHANNELS}

    def __init__(self, image_shape: tuple[int, int, int], device: Device, *, channels: Sequence[int] = CHANNELS,
                 hidden: Sequence[int] = HIDDEN, code: int = CODE, likelihood: str = "squared-error", seed: int = 0,
                 dtype=np.float32):
        super().__init__(image_shape, code, likelihood, device, dtype)
        for name, sizes in (("channels", channels), ("hidden", hidden)):
            if not sizes or min(sizes) < 1:
                raise UsageError(f"--{name} is {','.join(map(str, sizes)) or 'empty'}, but the model needs at least one size "
                                 "and each at least 1")
        self.small = (*_pooled(image_shape, len(channels)), channels[-1])
        rng, flat = np.random.default_rng(seed), math.prod(self.small)
        up = (*channels[-2::-1], image_shape[2])
        self.down = [Conv(a, b, "relu", rng, device, dtype, pool=2)
                     for a, b in zip((image_shape[2], *channels[:-1]), channels, strict=True)]
        self.encoder = [Dense(a, b, act, rng, device, dtype)
                        for a, b, act in zip((flat, *hidden[:-1]), hidden, (*["relu"] * (len(hidden) - 1), "tanh"), strict=True)]
        self.heads = Dense(hidden[-1], 2 * code, "identity", rng, device, dtype, heads=2)
        self.decoder = Dense(code, flat, "relu", rng, device, dtype)
        self.up = [Conv(a, b, act, rng, device, dtype, up=True) for a, b, act in zip(
            channels[::-1], up, (*["relu"] * (len(channels) - 1), self.output_activation), strict=True)]

    def encode(self, x) -> Tensor:
        x = ops.reshape(x, shape=(-1, *self.image_shape))
        for layer in self.down:
            x = layer(x)
        x = ops.reshape(x, shape=(x.shape[0], -1))
        for layer in self.encoder:
            x = layer(x)
        return self.heads(x)

    def decode(self, z) -> Tensor:
        y = ops.reshape(self.decoder(z), shape=(-1, *self.small))
        for layer in self.up:
            y = layer(y)
        return ops.reshape(y, shape=(y.shape[0], -1))


def _pooled(image_shape: tuple[int, int, int], pools: int) -> tuple[int, int]:
    """Height and width after that many pools by 2.

    Raises:
        UsageError: they do not divide; the nearest sizes that would do are named.
    """
    step = 2**pools
    if any(size % step for size in image_shape[:2]):
        near = [" or ".join(str(s) for s in sorted({size // step * step, -(-size // step) * step}) if s)
                for size in image_shape[:2]]
        raise UsageError(f"images of {image_shape[0]} x {image_shape[1]} cannot be pooled {pools} times by 2: take height "
                         f"{near[0]} and width {near[1]}, or fewer --channels")
    return image_shape[0] // step, image_shape[1] // step
