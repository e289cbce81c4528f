"""Training in PyTorch: minivae's optimizer with its foreach operations, and the ways of running a model."""

from __future__ import annotations

import math

import numpy as np
import peer_torch
import torch

# The compiler gets the channels-last model: what it makes of it is no slower, mostly 5 to 10% faster.
MODELS = {("ff", "eager"): peer_torch.FeedForward, ("ff", "compile"): peer_torch.FeedForward,
          ("conv", "eager"): peer_torch.Convolutional, ("conv", "channels-last"): peer_torch.ChannelsLast,
          ("conv", "compile"): peer_torch.ChannelsLast}


class Peer:
    """A minivae model and its training in PyTorch; names and layouts are minivae's on the outside.

    Args:
        like: the minivae model to copy.
        arch: "ff" or "conv".
        way: "eager", "channels-last" (only conv) or "compile".
        dtype: NumPy's.

    Raises:
        KeyError: that architecture cannot be run in that way.
    """

    def __init__(self, like, arch: str, way: str, dtype=np.float32):
        self.model = MODELS[arch, way](like, torch.from_numpy(np.empty(0, dtype)).dtype)
        self.compiled = way == "compile"
        self.cost = torch.compile(self.model, dynamic=False) if self.compiled else self.model

    def load(self, values: dict[str, np.ndarray]) -> None:
        """Take over parameters by minivae's names."""
        with torch.no_grad():
            for name, p in self.model.by_minivae_name():
                p.copy_(self.model.from_minivae(name, values[name]))

    def gradients(self, x: np.ndarray, eps: np.ndarray) -> tuple[list[float], dict[str, np.ndarray]]:
        """([cost, reconstruction, KL], gradients by minivae's names) of images (rows, pixels), noise (rows, code)."""
        costs = self.cost(self.model.images(torch.from_numpy(x)), torch.from_numpy(eps))
        costs[0].backward()
        return [cost.item() for cost in costs], self._on_the_outside(lambda p: p.grad)

    def stepped(self, like, grads: dict, state: dict[str, dict]) -> dict[str, np.ndarray]:
        """The parameters after one step of an optimizer `like` minivae's, in that state, from those gradients."""
        optimizer = RMSProp(self.model, like, self.compiled)
        for i, (name, p) in enumerate(self.model.by_minivae_name()):
            p.grad = torch.empty_like(p).copy_(self.model.from_minivae(name, grads[name]))
            for key, tensors in optimizer.state.items():
                tensors[i].copy_(self.model.from_minivae(name, state[key][name]))
        optimizer.step()
        return self._on_the_outside(lambda p: p)

    def stepper(self, like, images: np.ndarray, batch_size: int):
        """A function that makes one training step over those uint8 images, with an optimizer `like` minivae's."""
        return Stepper(self.model, self.cost, RMSProp(self.model, like, self.compiled), images, batch_size).step

    def _on_the_outside(self, of) -> dict[str, np.ndarray]:
        return {name: self.model.to_minivae(name, of(p)) for name, p in self.model.by_minivae_name()}


class RMSProp:
    """minivae's RMSProp (minivae/optim/adaptive.py): rescaled and centred, with Nesterov's momentum.

    Args:
        model: whose parameters to change.
        like: the minivae optimizer to take the settings from.
        compiled: let PyTorch compile the update.
    """

    def __init__(self, model, like, compiled: bool = False):
        self.parameters = list(model.parameters())
        self.lr, self.limit = like.lr, like.limit
        self.mu, self.decay, self.floor = like.momentum, like.decay, like.floor
        self.state = {name: [torch.zeros_like(p) for p in self.parameters] for name in like.state}
        self.update = torch.compile(self._one_by_one, dynamic=False) if compiled else self._foreach

    def zero_grad(self) -> None:
        """Forget the gradients; the next ones take new memory instead of being added."""
        for p in self.parameters:
            p.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update all parameters; the gradients are used up."""
        self.update([p.grad for p in self.parameters])

    def _foreach(self, grads) -> None:
        grads, (momentum, square, average) = self._rescaled(grads), self.state.values()
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

    def _rescaled(self, grads) -> list:
        # Reading the norm costs nothing on a CPU, and saves a pass over the gradients where they are short.
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads))).item()
        if not math.isfinite(norm):
            return torch._foreach_mul(self.parameters, 0.1)
        if norm > self.limit:
            torch._foreach_mul_(grads, self.limit / norm)
        return grads

    def _one_by_one(self, grads) -> None:
        # For the compiler, which makes one loop of all that happens to a parameter.
        norm = torch.stack([g.square().sum() for g in grads]).sum().sqrt()
        finite, scale = norm.isfinite(), self.limit / norm.clamp_min(self.limit)
        for p, g, momentum, square, average in zip(self.parameters, grads, *self.state.values(), strict=True):
            g = torch.where(finite, g * scale, 0.1 * p)
            square.mul_(self.decay).add_(g * g, alpha=1 - self.decay)
            average.mul_(self.decay).add_(g, alpha=1 - self.decay)
            rms = (square - average * average).clamp_min(self.floor**2).sqrt()
            delta = g / rms * self.lr
            momentum.mul_(self.mu).sub_(delta)
            p.add_(momentum, alpha=self.mu).sub_(delta)


class Stepper:
    """Training steps over shuffled uint8 images.

    Args:
        model: one of peer_torch.
        cost: the model, or what the compiler made of it.
        optimizer: for the model's parameters.
        images: uint8 (count, height, width, channels).
        batch_size: rows a step; the rest of an epoch is left out, as minivae does.
    """

    def __init__(self, model, cost, optimizer: RMSProp, images: np.ndarray, batch_size: int):
        self.cost, self.optimizer, self.batch_size = cost, optimizer, batch_size
        self.images = model.images(torch.from_numpy(images.reshape(len(images), -1)))
        self.code = model.heads.product.out_features // 2
        self.batches, self.total = iter(()), torch.zeros(())

    def step(self) -> None:
        """One step; the cost is added up and not read, as in minivae."""
        x = self._batch()
        self.optimizer.zero_grad()
        cost, _, _ = self.cost(x, torch.randn(len(x), self.code))
        cost.backward()
        self.optimizer.step()
        self.total += cost.detach()

    def _batch(self):
        rows = next(self.batches, None)
        if rows is None or len(rows) < self.batch_size:
            self.batches = iter(torch.randperm(len(self.images)).split(self.batch_size))
            rows = next(self.batches)
        return self.images[rows].float().div_(255)
