"""The feed-forward networks: dense layers with batch norm at every one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minivae.errors import UsageError
from minivae.models.vae import Place
from minivae.nn import Dense, Sequential

HIDDEN = (512, 512, 256)
CODE = 384


class FeedForward:
    """pixels - hidden, and inputs - hidden reversed - pixels.

    ReLU everywhere, but tanh on the last encoder layer and the likelihood's own output activation.

    Args:
        image_shape: (height, width, channels).
        hidden: sizes of the encoder's layers; the decoder has them reversed.
        channels: none; they belong to another architecture.

    Attributes:
        width: of what the encoder gives.
        widest: the most numbers that a layer makes of an image.

    Raises:
        UsageError: a size below 1, or channels.
    """

    SIZES = {"hidden": HIDDEN, "code": CODE, "channels": ()}

    def __init__(self, image_shape: tuple[int, int, int], *, hidden: Sequence[int] = HIDDEN, channels: Sequence[int] = ()):
        if channels:
            raise UsageError("--channels belongs to --arch conv; the feed-forward model has --hidden only")
        if not hidden or min(hidden) < 1:
            raise UsageError(f"--hidden is {','.join(map(str, hidden)) or 'empty'}, but the model needs at least one size "
                             "and each at least 1")
        self.pixels, self.hidden, self.width = math.prod(image_shape), tuple(hidden), hidden[-1]
        self.widest = max(self.pixels, *self.hidden)

    def encoder(self, place: Place) -> Sequential:
        """(rows, pixels) -> (rows, width)."""
        return _stack((self.pixels, *self.hidden), (*["relu"] * (len(self.hidden) - 1), "tanh"), place)

    def decoder(self, inputs: int, activation: str, place: Place) -> Sequential:
        """(rows, inputs) -> (rows, pixels), the last layer with that activation."""
        return _stack((inputs, *self.hidden[::-1], self.pixels), (*["relu"] * len(self.hidden), activation), place)


def _stack(sizes: Sequence[int], activations: Sequence[str], place: Place) -> Sequential:
    return Sequential(*(Dense(a, b, act, *place) for a, b, act in zip(sizes[:-1], sizes[1:], activations, strict=True)))
