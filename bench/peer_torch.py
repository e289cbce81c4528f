"""Both VAEs in PyTorch, computing what minivae's do.

Each in its library's natural form: fused operations of its own, both heads in one product, in-place activations,
sums by mse_loss. What differs in layout is settled when parameters are copied, so that a step pays nothing for it.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from minivae.errors import MinivaeError
from minivae.nn import Conv
from minivae.ops.batch_norm import EPSILON

# What may be done in place is: batch norm's backward pass does not look at its output.
ACTIVATIONS = {"identity": nn.Identity(), "relu": partial(F.relu, inplace=True), "tanh": torch.tanh,
               "hard_tanh": partial(F.hardtanh, inplace=True)}
NAMES = {"product.weight": "weight", "norm.weight": "norm.gamma", "norm.bias": "norm.beta"}


def use_threads(count: int) -> None:
    """Compute with that many threads.

    Raises:
        MinivaeError: PyTorch did not take the number.
    """
    torch.set_num_threads(count)
    if torch.get_num_threads() != count:
        raise MinivaeError(f"PyTorch takes {torch.get_num_threads()} threads instead of {count}: "
                           "choose another number with --threads")


def versions() -> dict[str, str]:
    """PyTorch's version and those of the libraries that multiply for it."""
    lines = [line.strip() for line in torch.__config__.show().splitlines()]
    built_in = [line.removeprefix("- ") for line in lines if "Kernel Library" in line or "MKL-DNN" in line]
    return {"torch": torch.__version__, "torch's libraries": "; ".join(built_in) or "not told"}


class Layer(nn.Module):
    """act(BN(product of x and W)), as minivae's layer of the same kind, sizes and activation.

    Batch norm always takes the batch's own moments, as minivae's does in training.
    """

    def __init__(self, like):
        super().__init__()
        *_, inputs, outputs = like.weight.shape
        if isinstance(like, Conv):
            self.product = _convolution(like, inputs, outputs)
            self.norm = nn.BatchNorm2d(outputs, eps=EPSILON, track_running_stats=False)
        else:
            self.product = nn.Linear(inputs, outputs, bias=False)
            self.norm = nn.BatchNorm1d(outputs, eps=EPSILON, track_running_stats=False)
        self.activation = ACTIVATIONS[like.norm.activation]

    def forward(self, x):
        return self.activation(self.norm(self.product(x)))


def _convolution(like, inputs: int, outputs: int) -> nn.Module:
    if like.up:     # output pixel 2 i + a - pad gets x[i] w[a]; one more row and column than without output_padding
        return nn.ConvTranspose2d(inputs, outputs, like.weight.shape[:2], stride=2, padding=like.pad,
                                  output_padding=1, bias=False)
    return nn.Conv2d(inputs, outputs, like.weight.shape[:2], padding=like.pad, bias=False)


class VAE(nn.Module):
    """What both models share: the cost, and how their parameters and minivae's correspond.

    Args:
        like: the minivae model whose sizes, activations and parameters to take; its cost is the squared error.
        dtype: of the parameters.
    """

    def __init__(self, like, dtype=torch.float32):
        super().__init__()
        self.shapes = {name: p.shape for name, p in like.named_parameters()}
        self.add_layers(like)
        self.to(dtype)
        values = {name: like.device.to_host(p.data) for name, p in like.named_parameters()}
        with torch.no_grad():
            for name, parameter in self.by_minivae_name():
                parameter.copy_(self.from_minivae(name, values.pop(name)))
        if values:
            raise RuntimeError(f"the PyTorch model lacks {', '.join(values)}")

    def add_layers(self, like) -> None:
        """Make the layers of minivae's model `like`, under its names."""
        raise NotImplementedError

    def images(self, x):
        """What the model takes, of images in minivae's layout (rows, pixels)."""
        raise NotImplementedError

    def encode(self, x):
        """mu beside rho, (rows, 2 * code)."""
        raise NotImplementedError

    def decode(self, z):
        """Images in the form in which they came in, of codes (rows, code)."""
        raise NotImplementedError

    def forward(self, x, eps):
        """The means over the batch: (cost, reconstruction, KL)."""
        mu, rho = self.encode(x).chunk(2, dim=1)
        sigma = F.softplus(rho)
        z = torch.addcmul(mu, sigma, eps)
        kl = (0.5 * (mu.square() + sigma.square() - 1) - sigma.log()).sum() / len(x)
        reconstruction = F.mse_loss(self.decode(z), x, reduction="sum") / len(x)
        return reconstruction + kl, reconstruction, kl

    def by_minivae_name(self):
        """(the name of this parameter in minivae, parameter) of all parameters."""
        for name, parameter in self.named_parameters():
            ending = next(ending for ending in NAMES if name.endswith(ending))
            yield name.removesuffix(ending) + NAMES[ending], parameter

    def arranged(self, name: str, array: np.ndarray) -> np.ndarray:
        """An array of minivae's parameter of that name in the order and shape that it has here."""
        if array.ndim == 4:     # (height, width, inputs, outputs)
            return array.transpose((2, 3, 0, 1) if name.startswith("decoder.up.") else (3, 2, 0, 1))
        return array.T

    def from_minivae(self, name: str, array: np.ndarray):
        """A tensor like the parameter of that minivae name, of a parameter or something of its shape."""
        return torch.from_numpy(np.ascontiguousarray(self.arranged(name, array)))

    def to_minivae(self, name: str, tensor) -> np.ndarray:
        """The other way, as float64."""
        shape = self.shapes[name]
        found = np.empty(shape)
        places = self.arranged(name, np.arange(found.size).reshape(shape))
        found.reshape(-1)[places] = tensor.detach().numpy()
        return found


class FeedForward(VAE):
    """A copy of a minivae FeedForward model."""

    def add_layers(self, like) -> None:
        self.encoder = nn.Sequential(*map(Layer, like.encoder))
        self.heads = Layer(like.heads)
        self.decoder = nn.Sequential(*map(Layer, like.decoder))

    def images(self, x):
        return x

    def encode(self, x):
        return self.heads(self.encoder(x))

    def decode(self, z):
        return self.decoder(z)


class Convolutional(VAE):
    """A copy of a minivae Convolutional model, on images (rows, channels, height, width).

    Its dense layers beside the convolutions have their rows and columns in the order in which PyTorch flattens
    such images, not in minivae's (height, width, channels).
    """

    def add_layers(self, like) -> None:
        self.image_shape, self.small = like.image_shape, like.decoder.small
        self.encoder = nn.ModuleDict({"down": nn.ModuleList(map(Layer, like.encoder.down)),
                                      "dense": nn.Sequential(*map(Layer, like.encoder.dense))})
        self.heads = Layer(like.heads)
        self.decoder = nn.ModuleDict({"dense": Layer(like.decoder.dense), "up": nn.Sequential(*map(Layer, like.decoder.up))})

    def images(self, x):
        return x.reshape(-1, *self.image_shape).permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)

    def flat(self, x):
        """Dense rows of the smallest images."""
        return x.flatten(1)

    def unflat(self, x):
        """The smallest images of dense rows."""
        height, width, channels = self.small
        return x.unflatten(1, (channels, height, width))

    def encode(self, x):
        for layer in self.encoder["down"]:
            x = F.max_pool2d(layer(x), 2)
        return self.heads(self.encoder["dense"](self.flat(x)))

    def decode(self, z):
        return self.decoder["up"](self.unflat(self.decoder["dense"](z)))

    def arranged(self, name: str, array: np.ndarray) -> np.ndarray:
        order = np.arange(np.prod(self.small)).reshape(self.small).transpose(2, 0, 1).reshape(-1)
        if name == "encoder.dense.0.weight":
            array = array[order]
        elif name.startswith("decoder.dense."):       # its columns, gamma and beta
            array = array[..., order]
        return super().arranged(name, array)


class ChannelsLast(Convolutional):
    """The same with images and kernels in PyTorch's channels-last memory, where minivae's order costs nothing."""

    def add_layers(self, like) -> None:
        super().add_layers(like)
        self.to(memory_format=torch.channels_last)

    def images(self, x):
        return x.reshape(-1, *self.image_shape).permute(0, 3, 1, 2)

    def flat(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)

    def unflat(self, x):
        return x.unflatten(1, self.small).permute(0, 3, 1, 2)

    def arranged(self, name: str, array: np.ndarray) -> np.ndarray:
        return VAE.arranged(self, name, array)
