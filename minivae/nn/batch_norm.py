"""Batch norm, and the layers that end with it: what minivae's own models are made of."""

from __future__ import annotations

import numpy as np

from minivae import ops
from minivae.device import Device, device_of
from minivae.errors import MinivaeError
from minivae.nn.initial import glorot
from minivae.nn.joint import Joint
from minivae.nn.module import Buffer, Module, Parameter
from minivae.ops.batch_norm import merge_moments
from minivae.tensor import Tensor


class BatchNorm(Joint):
    """Batch norm over all rows of the batch, then an activation; gamma starts at 1, beta at 0.

    In training it uses the batch's own mean and variance; otherwise `moments`, the fixed-point
    statistics that evaluation/fixed_point.py computes.

    Args:
        channels: columns of what comes in.
        activation: see ops.batch_norm.
        pool: size of the max pooling that follows, for images; 1 for none.

    Attributes:
        moments: (2, channels) array, mean and variance, or None as long as they are not computed.
    """

    def __init__(self, channels: int, device: Device, dtype=np.float32, activation: str = "identity", pool: int = 1):
        self.gamma = Parameter(device.from_host(np.ones(channels, dtype)))
        self.beta = Parameter(device.from_host(np.zeros(channels, dtype)))
        self.activation, self.pool = activation, pool
        self.moments = None
        self._gathered, self._seen = None, 0

    def buffers(self) -> dict[str, Buffer]:
        gamma = self.gamma.data
        return {"moments": Buffer((2, *gamma.shape), gamma.dtype, device_of(gamma))}

    def gather(self, into) -> int:
        """From now on add the moments of all that comes in to `into` (2, channels); None ends it.

        Returns:
            How many rows came in since the last call.
        """
        seen, self._gathered, self._seen = self._seen, into, 0
        return seen

    def forward(self, x: Tensor) -> Tensor:
        if self._gathered is not None:
            merge_moments(self._gathered, self._seen, x.data)
            self._seen += x.data.size // x.shape[-1]
        fixed = None if self.training else self.moments
        if fixed is None and not self.training:
            raise MinivaeError("batch norm has no fixed-point statistics yet: compute them over the training data first")
        if self.pool > 1:
            return ops.batch_norm_pool2d(x, self.gamma, self.beta, activation=self.activation, size=self.pool, fixed=fixed,
                                         group=self.group)
        return ops.batch_norm(x, self.gamma, self.beta, activation=self.activation, fixed=fixed, group=self.group)


class Dense(Module):
    """act(BN(x W)): a dense layer. No bias, since batch norm would cancel it.

    Args:
        heads: how many layers the columns hold side by side; each gets its own scale of initial weights.
    """

    def __init__(self, inputs: int, outputs: int, activation: str, rng: np.random.Generator, device: Device,
                 dtype=np.float32, heads: int = 1):
        self.weight = Parameter(device.from_host(glorot(rng, inputs, outputs, heads).astype(dtype)))
        self.norm = BatchNorm(outputs, device, dtype, activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(ops.linear(x, self.weight))


class Conv(Module):
    """act(BN(x * W)): a convolution that keeps the image's size, or with `up` one that doubles it; then max pooling.

    Doubling is perforated upsampling (each pixel at the top left of a 2 x 2 cell, zeros elsewhere) followed by the
    convolution, done as one transposed convolution of stride 2 at a quarter of the arithmetic.

    Args:
        inputs, outputs: channels.
        size: of the square kernel, odd.
        up: whether to double height and width.
        pool: size of the max pooling; 1 for none.
    """

    def __init__(self, inputs: int, outputs: int, activation: str, rng: np.random.Generator, device: Device,
                 dtype=np.float32, size: int = 3, up: bool = False, pool: int = 1):
        weight = glorot(rng, inputs * size * size, outputs * size * size, shape=(size, size, inputs, outputs))
        self.weight = Parameter(device.from_host(weight.astype(dtype)))
        self.norm = BatchNorm(outputs, device, dtype, activation, pool)
        self.up, self.pad = up, size // 2

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            height, width = x.shape[1:3]
            return self.norm(ops.conv2d_transpose(x, self.weight, stride=2, pad=self.pad, out_shape=(2 * height, 2 * width)))
        return self.norm(ops.conv2d(x, self.weight, pad=self.pad))


def batch_norms(module: Module) -> list[tuple[str, BatchNorm]]:
    """(dotted name, layer) of all batch norms in a module, in the order of their use."""
    return [(name, layer) for name, layer in module.named_modules() if isinstance(layer, BatchNorm)]
