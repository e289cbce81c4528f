"""The feed-forward VAE: dense layers with batch norm at every one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivae.device import Device
from minivae.errors import UsageError
from minivae.models.vae import VAE
from minivae.nn import Dense
from minivae.tensor import Tensor

HIDDEN = (512, 512, 256)
CODE = 384


class FeedForward(VAE):
    """pixels - hidden - (mu, sigma: code) - hidden reversed - pixels.

    ReLU everywhere, but tanh on the last encoder layer and the likelihood's own output activation. The two
    heads are one product: mu in the first half of its columns, rho in the second.

    Args:
        image_shape: (height, width, channels).
        hidden: sizes of the encoder's layers; the decoder has them reversed.
        code, likelihood, device, dtype: see VAE.
        channels: none; they belong to another architecture.
        seed: of the initial weights.

    Raises:
        UsageError: a size below 1, channels, or an unknown likelihood.
    """

    SIZES = {"hidden": HIDDEN, "code": CODE, "channels": ()}

    def __init__(self, image_shape: tuple[int, int, int], device: Device, *, hidden: Sequence[int] = HIDDEN,
                 code: int = CODE, channels: Sequence[int] = (), likelihood: str = "squared-error", seed: int = 0, dtype=np.float32):
        super().__init__(image_shape, code, likelihood, device, dtype)
        if channels:
            raise UsageError("--channels belongs to --arch conv; the feed-forward model has --hidden only")
        if not hidden or min(hidden) < 1:
            raise UsageError(f"the layer sizes are {','.join(map(str, hidden)) or 'none'}, but the model needs at least "
                             "one layer and each at least 1 unit")
        rng = np.random.default_rng(seed)

        def stack(sizes: Sequence[int], activations: Sequence[str]) -> list[Dense]:
            return [Dense(a, b, act, rng, device, dtype)
                    for a, b, act in zip(sizes[:-1], sizes[1:], activations, strict=True)]

        depth = len(hidden)
        self.encoder = stack((self.pixels, *hidden), (*["relu"] * (depth - 1), "tanh"))
        self.heads = Dense(hidden[-1], 2 * code, "identity", rng, device, dtype, heads=2)
        self.decoder = stack((code, *hidden[::-1], self.pixels), (*["relu"] * depth, self.output_activation))

    def encode(self, x) -> Tensor:
        for layer in self.encoder:
            x = layer(x)
        return self.heads(x)

    def decode(self, z) -> Tensor:
        for layer in self.decoder:
            z = layer(z)
        return z
