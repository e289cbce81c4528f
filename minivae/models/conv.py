"""The convolutional networks: convolutions and pools down to a dense layer, and back up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from minivae import ops
from minivae.errors import UsageError
from minivae.models.vae import Place
from minivae.nn import Conv, Dense, Module
from minivae.tensor import Tensor

CHANNELS = (64, 128)
HIDDEN = (512,)
CODE = 512

# How names of parameters began before the layers stood in an Encoder and a Decoder, and how they do now.
FORMERLY = {"down.": "encoder.down.", "encoder.": "encoder.dense.", "decoder.": "decoder.dense.", "up.": "decoder.up."}


class Convolutional:
    """Per entry of `channels`: convolution 3 x 3, ReLU, max-pool 2; dense layers, tanh on the last; and back up: dense
    to the smallest image, ReLU; per entry upsampling by 2 and convolution 3 x 3, ReLU, the last with the likelihood's
    own activation.

    Args:
        image_shape: (height, width, channels), both sizes multiples of 2 ** len(channels).
        channels: of the convolutions.
        hidden: sizes of the dense layers behind the smallest image.

    Attributes:
        width: of what the encoder gives.
        widest: the most numbers that a layer makes of an image.
        small: (height, width, channels) of the smallest image.

    Raises:
        UsageError: a size below 1, or an image that the pools do not divide.
    """

    SIZES = {"hidden": HIDDEN, "code": CODE, "channels": CHANNELS}

    def __init__(self, image_shape: tuple[int, int, int], *, channels: Sequence[int] = CHANNELS, hidden: Sequence[int] = HIDDEN):
        for name, sizes in (("channels", channels), ("hidden", hidden)):
            if not sizes or min(sizes) < 1:
                raise UsageError(f"--{name} is {','.join(map(str, sizes)) or 'empty'}, but the model needs at least one size "
                                 "and each at least 1")
        self.image_shape, self.channels, self.hidden = tuple(image_shape), tuple(channels), tuple(hidden)
        self.small, self.width = (*_pooled(image_shape, len(channels)), channels[-1]), hidden[-1]
        pixels = math.prod(image_shape[:2])
        self.widest = max(*(pixels // 4**level * count for level, count in enumerate(channels)), pixels * image_shape[2],
                          *hidden)

    def encoder(self, place: Place) -> Encoder:
        """(rows, pixels) -> (rows, width)."""
        return Encoder(self, place)

    def decoder(self, inputs: int, activation: str, place: Place) -> Decoder:
        """(rows, inputs) -> (rows, pixels), the last layer with that activation."""
        return Decoder(self, inputs, activation, place)


class Encoder(Module):
    """The way down."""

    def __init__(self, sizes: Convolutional, place: Place):
        self.image_shape = sizes.image_shape
        self.down = [Conv(a, b, "relu", *place, pool=2)
                     for a, b in zip((sizes.image_shape[2], *sizes.channels[:-1]), sizes.channels, strict=True)]
        activations = (*["relu"] * (len(sizes.hidden) - 1), "tanh")
        self.dense = [Dense(a, b, act, *place) for a, b, act in zip(
            (math.prod(sizes.small), *sizes.hidden[:-1]), sizes.hidden, activations, strict=True)]

    def forward(self, x) -> Tensor:
        x = ops.reshape(x, shape=(-1, *self.image_shape))
        for layer in self.down:
            x = layer(x)
        x = ops.reshape(x, shape=(x.shape[0], -1))
        for layer in self.dense:
            x = layer(x)
        return x


class Decoder(Module):
    """The way up."""

    def __init__(self, sizes: Convolutional, inputs: int, activation: str, place: Place):
        self.small = sizes.small
        self.dense = Dense(inputs, math.prod(sizes.small), "relu", *place)
        activations = (*["relu"] * (len(sizes.channels) - 1), activation)
        self.up = [Conv(a, b, act, *place, up=True) for a, b, act in zip(
            sizes.channels[::-1], (*sizes.channels[-2::-1], sizes.image_shape[2]), activations, strict=True)]

    def forward(self, z) -> Tensor:
        y = ops.reshape(self.dense(z), shape=(-1, *self.small))
        for layer in self.up:
            y = layer(y)
        return ops.reshape(y, shape=(y.shape[0], -1))


def _pooled(image_shape: tuple[int, int, int], pools: int) -> tuple[int, int]:
    """Height and width after that many pools by 2.

    Raises:
        UsageError: they do not divide; how many pools would do is named.
    """
    step = 2**pools
    if any(size % step for size in image_shape[:2]):
        height, width, _ = image_shape
        most = min((size & -size).bit_length() - 1 for size in (height, width))     # how often 2 divides both
        fix = f"take at most {most} --channels" if most else "take --arch ff, which has no pools"
        raise UsageError(f"each of the {pools} --channels halves height and width, but images of {height} x {width} can be "
                         f"halved {most} times only: {fix}")
    return image_shape[0] // step, image_shape[1] // step


def by_new_names(state: Mapping[str, object]) -> dict[str, object]:
    """The state of a convolutional model, one that was saved by an older version by the names of this one."""
    if not any(name.startswith("down.") for name in state):
        return dict(state)
    began = {name: next((old for old in FORMERLY if name.startswith(old)), "") for name in state}
    return {FORMERLY.get(began[name], "") + name[len(began[name]):]: value for name, value in state.items()}
