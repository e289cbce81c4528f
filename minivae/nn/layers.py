"""Plain layers, and the chain of several. Layers that end with a batch norm are in batch_norm.py.

What has no parameters and works the same in training and in use needs no layer: operations such as ops.relu stand in a
Sequential as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minivae import ops
from minivae.device import Device
from minivae.nn.draws import next_draw
from minivae.nn.initial import glorot
from minivae.nn.module import Module, Parameter
from minivae.tensor import Tensor


class Sequential(Module):
    """One after the other: each takes what the one before gives.

    Args:
        layers: modules, or functions of a Tensor such as operations.
    """

    def __init__(self, *layers: Callable[[Tensor], Tensor]):
        self.layers = list(layers)

    def forward(self, x) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x

    def named_children(self):
        """By position alone: encoder.0, not encoder.layers.0."""
        return ((name.removeprefix("layers."), module) for name, module in super().named_children())

    def __iter__(self):
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, place: int):
        return self.layers[place]


class Linear(Module):
    """x W + b. W starts uniform (see glorot), b at 0.

    Args:
        inputs, outputs: numbers in a row of what comes in, (..., inputs), and of what goes out, (..., outputs).
        bias: False for x W alone, such as before a batch norm.
    """

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, device: Device, dtype=np.float32,
                 bias: bool = True):
        self.weight = Parameter(device.from_host(glorot(rng, inputs, outputs).astype(dtype)))
        self.bias = Parameter(device.zeros((outputs,), dtype)) if bias else None

    def forward(self, x) -> Tensor:
        return ops.linear(x, self.weight, self.bias)


class Conv2d(Module):
    """x * W + b, images channels last. W starts uniform (see glorot), b at 0.

    Args:
        inputs, outputs: channels of what comes in, (images, height, width, inputs), and of what goes out.
        size: of the square kernel.
        stride, pad: see ops.conv2d; by default the image keeps its size where `size` is odd.
        bias: False for x * W alone, such as before a batch norm.
    """

    def __init__(self, inputs: int, outputs: int, rng: np.random.Generator, device: Device, dtype=np.float32, size: int = 3,
                 stride: int = 1, pad: int | None = None, bias: bool = True):
        weight = glorot(rng, inputs * size * size, outputs * size * size, shape=(size, size, inputs, outputs))
        self.weight = Parameter(device.from_host(weight.astype(dtype)))
        self.bias = Parameter(device.zeros((outputs,), dtype)) if bias else None
        self.stride, self.pad = stride, size // 2 if pad is None else pad

    def forward(self, x) -> Tensor:
        y = ops.conv2d(x, self.weight, stride=self.stride, pad=self.pad)
        return y if self.bias is None else ops.add(y, self.bias)


class Embedding(Module):
    """A row of numbers for each of some labels, learned; they start from N(0, 1).

    Args:
        entries: how many labels there are.
        width: numbers in a row.
    """

    def __init__(self, entries: int, width: int, rng: np.random.Generator, device: Device, dtype=np.float32):
        self.weight = Parameter(device.from_host(rng.standard_normal((entries, width)).astype(dtype)))

    def forward(self, labels) -> Tensor:
        """(*labels' shape, width), of labels as ops.embedding takes them."""
        return ops.embedding(self.weight, labels)


class Dropout(Module):
    """Each number set to 0 with probability `rate` in training, the others scaled so that the mean stays; else nothing.

    Training needs to know which numbers: see noise().

    Args:
        rate: 0 <= rate < 1.

    Raises:
        ValueError: a rate that is out of range.
    """

    def __init__(self, rate: float):
        if not 0 <= rate < 1:
            raise ValueError(f"Dropout: the rate must be at least 0 and below 1, not {rate}")
        self.rate = rate

    def forward(self, x) -> Tensor:
        """x and what comes out: (rows, ...)."""
        if not self.training or self.rate == 0:
            return x
        name, example, number = next_draw()
        return ops.dropout(x, rate=self.rate, noise=name, example=example, layer=number)


class Flatten(Module):
    """Images, or whatever has more axes, as rows: (rows, ...) becomes (rows, numbers)."""

    def forward(self, x) -> Tensor:
        return ops.reshape(x, (x.shape[0], -1))
