"""Modules: they own parameters and statistics, and call ops."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from minivae import ops
from minivae.device import Device
from minivae.errors import MinivaeError
from minivae.ops.batch_norm import merge_moments
from minivae.tensor import Tensor

FLAT_ALIGNMENT = 64     # bytes: where each parameter begins in the flat array


class Parameter(Tensor):
    """A Tensor that training changes. Its gradient's place is fixed, so a gradient costs no new memory."""

    __slots__ = ()

    def __init__(self, data):
        super().__init__(data, requires_grad=True)

    def move(self, data, grad) -> None:
        """Live in `data` and leave gradients in `grad` from now on; the value comes along."""
        data[...] = self.data
        self.data, self._grad = data, grad


class Module:
    """Something with parameters: its own, and those of the modules among its attributes and lists.

    Attributes:
        training: whether batch norm uses the batch's own moments.
    """

    training = True

    def children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of each module held directly, lists of modules by position."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}.{i}", item) for i, item in enumerate(value) if isinstance(item, Module))

    def modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module) of this module and all below it."""
        yield prefix, self
        for name, child in self.children():
            yield from child.modules(f"{prefix}.{name}" if prefix else name)

    def parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter) of all parameters, in a fixed order."""
        for prefix, module in self.modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    yield (f"{prefix}.{name}" if prefix else name), value

    def batch_norms(self) -> list[tuple[str, BatchNorm]]:
        """(dotted name, layer) of all batch norms, in the order of their use."""
        return [(name, module) for name, module in self.modules() if isinstance(module, BatchNorm)]

    def train(self, training: bool = True) -> None:
        """Normalize with each batch's own moments (True) or with the fixed-point statistics (False)."""
        for _, module in self.modules():
            module.training = training

    def state(self) -> dict[str, object]:
        """Name to device array: all parameters, and the statistics of batch norms that have them."""
        found: dict[str, object] = {name: p.data for name, p in self.parameters()}
        found.update((f"{name}.moments", bn.moments) for name, bn in self.batch_norms() if bn.moments is not None)
        return found

    def load_state(self, state: dict[str, np.ndarray], device: Device) -> None:
        """Take over the values of state().

        Raises:
            MinivaeError: a name is missing, unexpected, or has another shape or dtype.
        """
        parameters, norms = dict(self.parameters()), {f"{n}.moments": bn for n, bn in self.batch_norms()}
        missing, unexpected = sorted(parameters.keys() - state), sorted(state.keys() - parameters - norms.keys())
        if missing or unexpected:
            raise MinivaeError(f"these parameters do not belong to this model: missing {missing or 'none'}, "
                               f"unexpected {unexpected or 'none'}; load them with the settings they were trained with")
        for name, value in state.items():
            place = parameters[name].data if name in parameters else norms[name].gamma.data
            shape = place.shape if name in parameters else (2, *place.shape)
            if value.shape != shape or value.dtype != place.dtype:
                raise MinivaeError(f"parameter {name} is {value.shape} {value.dtype} in the file, but this model needs "
                                   f"{shape} {place.dtype}")
        for name, value in state.items():
            if name in parameters:
                parameters[name].data[...] = device.from_host(value)
            else:
                norms[name].moments = device.from_host(value)


class Flat:
    """All parameters of a module as views of one array, all gradients of another.

    An optimizer step is then one launch, the global norm one reduction. Each parameter begins at a multiple of 64
    bytes; the gaps between them stay zero in both arrays.

    Attributes:
        values, grads: arrays of shape (size,).
        segments: (begin, end) of each parameter in them, the gap after it included.
    """

    def __init__(self, module: Module, device: Device, dtype=np.float32):
        self.parameters = [p for _, p in module.parameters()]
        step = FLAT_ALIGNMENT // np.dtype(dtype).itemsize
        starts, end = [], 0
        for p in self.parameters:
            starts.append(end)
            end += -(-p.data.size // step) * step
        self.segments = list(zip(starts, [*starts[1:], end], strict=True))
        self.values, self.grads = device.zeros((end,), dtype), device.zeros((end,), dtype)
        for p, start in zip(self.parameters, starts, strict=True):
            views = (flat[start:start + p.data.size].reshape(p.shape) for flat in (self.values, self.grads))
            p.move(*views)

    @property
    def count(self) -> int:
        """How many numbers training changes."""
        return sum(p.data.size for p in self.parameters)

    def clear_grad(self) -> None:
        """Forget all gradients before the next backward pass."""
        for p in self.parameters:
            p.clear_grad()

    def require_grad(self) -> None:
        """Make `grads` whole: parameters that the cost did not use get the gradient zero."""
        for p in self.parameters:
            if p.grad is None:
                p._grad[...] = 0
                p._fresh = False


def glorot(rng: np.random.Generator, inputs: int, outputs: int, heads: int = 1,
           shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Uniform weights in +-sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010, eq. 16), float64.

    Args:
        inputs, outputs: how many numbers a unit takes, and how many units each number goes to.
        heads: the columns hold that many layers side by side, each of outputs / heads units.
        shape: of the weights; by default (inputs, outputs).
    """
    limit = math.sqrt(6 / (inputs + outputs // heads))
    return rng.uniform(-limit, limit, shape or (inputs, outputs))


class BatchNorm(Module):
    """Batch norm over all rows, then an activation; gamma starts at 1, beta at 0.

    In training it uses the batch's own mean and variance; otherwise `moments`, the fixed-point
    statistics that fixed_point.py computes.

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

    def gather(self, into) -> None:
        """From now on add the moments of all that comes in to `into` (2, channels); None ends it."""
        self._gathered, self._seen = into, 0

    def __call__(self, x: Tensor) -> Tensor:
        if self._gathered is not None:
            merge_moments(self._gathered, self._seen, x.data)
            self._seen += x.data.size // x.shape[-1]
        fixed = None if self.training else self.moments
        if fixed is None and not self.training:
            raise MinivaeError("batch norm has no fixed-point statistics yet: compute them over the training data first")
        if self.pool > 1:
            return ops.batch_norm_pool2d(x, self.gamma, self.beta, activation=self.activation, size=self.pool, fixed=fixed)
        return ops.batch_norm(x, self.gamma, self.beta, activation=self.activation, fixed=fixed)


class Dense(Module):
    """act(BN(x W)): a dense layer. No bias, since batch norm would cancel it.

    Args:
        heads: how many layers the columns hold side by side; each gets its own scale of initial weights.
    """

    def __init__(self, inputs: int, outputs: int, activation: str, rng: np.random.Generator, device: Device,
                 dtype=np.float32, heads: int = 1):
        self.weight = Parameter(device.from_host(glorot(rng, inputs, outputs, heads).astype(dtype)))
        self.norm = BatchNorm(outputs, device, dtype, activation)

    def __call__(self, x: Tensor) -> Tensor:
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

    def __call__(self, x: Tensor) -> Tensor:
        if self.up:
            height, width = x.shape[1:3]
            return self.norm(ops.conv2d_transpose(x, self.weight, stride=2, pad=self.pad, out_shape=(2 * height, 2 * width)))
        return self.norm(ops.conv2d(x, self.weight, pad=self.pad))
