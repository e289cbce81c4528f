"""The feed-forward VAE and its training step in PyTorch eager, with the same arithmetic as minivae's.

The fast choices of eager code are taken where they cost nothing in clarity: both heads in one product,
in-place activations, sums by mse_loss, foreach operations in the optimizer.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from minivae.errors import MinivaeError
from minivae.ops.batch_norm import EPSILON

# What may be done in place is: batch norm's backward pass does not look at its output.
ACTIVATIONS = {"identity": nn.Identity(), "relu": partial(F.relu, inplace=True), "tanh": torch.tanh,
               "hard_tanh": partial(F.hardtanh, inplace=True)}
KINKS = {"relu": (0.0,), "hard_tanh": (-1.0, 1.0)}      # where a slope jumps
SHIFTS = np.linspace(-0.1, 0.1, 81, dtype=np.float32)   # values of beta among which avoid_kinks chooses
NAMES = {"linear.weight": "weight", "norm.weight": "norm.gamma", "norm.bias": "norm.beta"}


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


class Dense(nn.Module):
    """act(BN(W x)); batch norm always takes the batch's own moments, as minivae's does in training."""

    def __init__(self, inputs: int, outputs: int, activation: str):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs, eps=EPSILON, track_running_stats=False)
        self.kind, self.activation = activation, ACTIVATIONS[activation]

    def forward(self, x):
        return self.activation(self.norm(self.linear(x)))


class FeedForward(nn.Module):
    """A copy of a minivae FeedForward model with the squared error: its sizes, activations and parameters."""

    def __init__(self, model, dtype=torch.float32):
        super().__init__()

        def copy(layer) -> Dense:
            return Dense(*layer.weight.shape, layer.norm.activation)

        self.encoder = nn.Sequential(*map(copy, model.encoder))
        self.heads = copy(model.heads)
        self.decoder = nn.Sequential(*map(copy, model.decoder))
        self.to(dtype)
        values = {name: model.device.to_host(p.data) for name, p in model.parameters()}
        with torch.no_grad():
            for name, parameter in self.by_minivae_name():
                parameter.copy_(from_minivae(values.pop(name)))
        if values:
            raise RuntimeError(f"the PyTorch model lacks {', '.join(values)}")

    def by_minivae_name(self):
        """(the name of this parameter in minivae, parameter) of all parameters."""
        for name, parameter in self.named_parameters():
            ending = next(ending for ending in NAMES if name.endswith(ending))
            yield name.removesuffix(ending) + NAMES[ending], parameter

    def code(self, heads, eps=None):
        """(z, the sum of all examples' KL divergences); eps None draws the noise."""
        mu, rho = heads.chunk(2, dim=1)
        sigma = F.softplus(rho)
        z = torch.addcmul(mu, sigma, torch.randn_like(sigma) if eps is None else eps)
        return z, (0.5 * (mu.square() + sigma.square() - 1) - sigma.log()).sum()

    def forward(self, x, eps=None):
        """The means over the batch: (cost, reconstruction, KL)."""
        z, kl = self.code(self.heads(self.encoder(x)), eps)
        reconstruction = F.mse_loss(self.decoder(z), x, reduction="sum") / len(x)
        kl = kl / len(x)
        return reconstruction + kl, reconstruction, kl

    @torch.no_grad()
    def avoid_kinks(self, x, eps) -> None:
        """Give every unit the beta that keeps it farthest from where its activation's slope jumps.

        Else the gradients of two right programs differ by more than rounding: of two million outputs some
        are zero but for rounding, and each one's gradient is there in one program and missing in the other.
        """

        def walk(layers, x):
            for layer in layers:
                nn.init.zeros_(layer.norm.bias)
                layer.norm.bias.copy_(_safest(layer.norm(layer.linear(x)), KINKS.get(layer.kind, ())))
                x = layer(x)
            return x

        z, _ = self.code(walk([*self.encoder, self.heads], x), eps)
        walk(self.decoder, z)


def _safest(u, kinks):
    """For each column of u the one of SHIFTS that keeps all of it farthest from the kinks."""
    best, found = torch.zeros_like(u[0]), torch.full_like(u[0], -math.inf)
    for shift in SHIFTS.tolist() if kinks else ():
        distance = torch.stack([(u + (shift - kink)).abs().amin(0) for kink in kinks]).amin(0)
        best, found = torch.where(distance > found, shift, best), torch.maximum(distance, found)
    return best


def from_minivae(array: np.ndarray):
    """A parameter, or something of its shape, in PyTorch's layout: weights are (out, in) there."""
    return torch.from_numpy(np.ascontiguousarray(array.T))


def to_minivae(tensor) -> np.ndarray:
    """The other way, as float64."""
    return tensor.detach().numpy().astype(np.float64).T


class RMSProp:
    """minivae's RMSProp (minivae/optim.py): rescaled and centred, with Nesterov's momentum.

    Args:
        parameters: of the model.
        like: the minivae optimizer to take the settings from.
    """

    def __init__(self, parameters, like):
        self.parameters = list(parameters)
        self.lr, self.limit = like.lr, like.limit
        self.mu, self.decay, self.floor = like.momentum, like.decay, like.floor
        self.state = {name: [torch.zeros_like(p) for p in self.parameters] for name in like.state}

    def zero_grad(self) -> None:
        """Forget the gradients; the next ones take new memory instead of being added."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters; the gradients are used up."""
        grads, (momentum, square, average) = self._rescaled(), self.state.values()
        torch._foreach_mul_(square, self.decay)
        torch._foreach_addcmul_(square, grads, grads, value=1 - self.decay)
        torch._foreach_lerp_(average, grads, 1 - self.decay)
        rms = torch._foreach_addcmul(square, average, average, value=-1)
        torch._foreach_clamp_min_(rms, self.floor**2)       # before the root: also for v < 0
        torch._foreach_sqrt_(rms)
        torch._foreach_div_(grads, rms)
        torch._foreach_mul_(momentum, self.mu)
        torch._foreach_add_(momentum, grads, alpha=-self.lr)
        torch._foreach_add_(self.parameters, momentum, alpha=self.mu)
        torch._foreach_add_(self.parameters, grads, alpha=-self.lr)

    def _rescaled(self) -> list:
        # Reading the norm costs nothing on a CPU, and saves a pass over the gradients where they are short.
        grads = [p.grad for p in self.parameters]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads))).item()
        if not math.isfinite(norm):
            return torch._foreach_mul(self.parameters, 0.1)
        if norm > self.limit:
            torch._foreach_mul_(grads, self.limit / norm)
        return grads


class Stepper:
    """Training steps over shuffled uint8 images.

    Args:
        model: a FeedForward.
        optimizer: for its parameters.
        images: uint8 (count, ...).
        batch_size: rows a step; the rest of an epoch is left out, as minivae does.
    """

    def __init__(self, model, optimizer: RMSProp, images: np.ndarray, batch_size: int):
        self.model, self.optimizer, self.batch_size = model, optimizer, batch_size
        self.images = torch.from_numpy(images.reshape(len(images), -1))
        self.batches, self.total = iter(()), torch.zeros(())

    def step(self) -> None:
        """One step; the cost is added up and not read, as in minivae."""
        x = self._batch()
        self.optimizer.zero_grad()
        cost, _, _ = self.model(x)
        cost.backward()
        self.optimizer.step()
        self.total += cost.detach()

    def _batch(self):
        rows = next(self.batches, None)
        if rows is None or len(rows) < self.batch_size:
            self.batches = iter(torch.randperm(len(self.images)).split(self.batch_size))
            rows = next(self.batches)
        return self.images[rows].float().div_(255)
