"""Whether minivae and PyTorch compute the same cost, gradients and optimizer step from the same numbers.

The reference is PyTorch in float64. Every error is |found - reference| / |reference|, as norms, so that
minivae's float32 can be held against PyTorch's float32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import peer_torch
import torch

from minivae.device import address
from minivae.ops.reparameterize import TRAIN, Noise, standard_normal
from minivae.training import Trainer

TOLERANCE = 1e-4


class Error(NamedTuple):
    """How far both programs' float32 are from float64 in one thing."""

    kind: str           # "cost", "gradient" or "change" (what the optimizer adds to a parameter)
    name: str
    minivae: float
    torch: float

    @property
    def fine(self) -> bool:
        return self.minivae <= TOLERANCE        # so that NaN is not


def check(trainer: Trainer) -> list[Error]:
    """All errors. It leaves the trainer's model and optimizer changed: take another one for anything else."""
    rng, model = np.random.default_rng(1), trainer.model
    count, noise = trainer.settings.batch_size, Noise(trainer.settings.seed, 0, TRAIN)
    x, example = trainer.train_images.batch(0, count)
    eps = standard_normal(model.device, count, model.code, noise)
    for name, p in model.parameters():
        if name.endswith("gamma"):              # at 1 a forgotten factor would not show
            p.data[...] = rng.uniform(0.5, 1.5, p.shape)
    inputs = {dtype: (torch.tensor(x, dtype=dtype), torch.tensor(eps, dtype=dtype))
              for dtype in (torch.float64, torch.float32)}
    double = peer_torch.FeedForward(model, torch.float64)
    double.avoid_kinks(*inputs[torch.float64])
    ours = dict(model.parameters())
    for name, p in double.by_minivae_name():
        ours[name].data[...] = peer_torch.to_minivae(p)
    peers = [double, peer_torch.FeedForward(model)]
    costs = [peer(*inputs[dtype]) for peer, dtype in zip(peers, inputs, strict=True)]
    found = model.cost(x, example, noise)
    for cost in (found.total, *(total for total, _, _ in costs)):
        cost.backward()
    return [*_costs(found, *costs), *_gradients(trainer, *peers), *_changes(trainer, *peers, rng)]


def _costs(found, double, single) -> list[Error]:
    names = ("total", "reconstruction", "KL")
    ours = found.total.item(), found.reconstruction.mean(dtype=np.float64), found.kl.mean(dtype=np.float64)
    return [_error("cost", name, a, b.item(), reference.item())
            for name, a, b, reference in zip(names, ours, single, double, strict=True)]


def _gradients(trainer: Trainer, double, single) -> list[Error]:
    ours = {name: p.grad for name, p in trainer.model.parameters()}
    theirs = ({name: peer_torch.to_minivae(p.grad) for name, p in model.by_minivae_name()}
              for model in (single, double))
    return _errors("gradient", ours, *theirs)


def _changes(trainer: Trainer, double, single, rng) -> list[Error]:
    """One step each from the same gradients, on a state as in the middle of a training."""
    optimizer, parameters = trainer.optimizer, dict(trainer.model.parameters())
    optimizer.limit = float(np.linalg.norm(trainer.flat.grads)) / 2     # rescaling must happen to be tested
    size = optimizer.limit / trainer.flat.count**0.5
    peers = [peer_torch.RMSProp(model.parameters(), optimizer) for model in (single, double)]
    for position, (name, _) in enumerate(double.by_minivae_name()):
        p = parameters[name]
        state = _some_state(rng, p.shape, size, optimizer.lr)
        for key, value in state.items():
            _piece(optimizer.state[key], p, trainer.flat.values)[...] = value
        for peer in peers:
            peer.parameters[position].grad.copy_(peer_torch.from_minivae(p.grad))
            for key, value in state.items():
                peer.state[key][position].copy_(peer_torch.from_minivae(value))
    before = {name: p.data.astype(np.float64) for name, p in parameters.items()}
    for one in (optimizer, *peers):
        one.step()
    ours = {name: p.data - before[name] for name, p in parameters.items()}
    theirs = ({name: peer_torch.to_minivae(p) - before[name] for name, p in model.by_minivae_name()}
              for model in (single, double))
    return _errors("change", ours, *theirs)


def _some_state(rng, shape: tuple[int, ...], size: float, lr: float) -> dict[str, np.ndarray]:
    """The state of RMSProp for one parameter, as after many gradients of that size; square > average^2."""
    average = rng.normal(0, size, shape)
    square = average**2 + rng.uniform(0.2, 2, shape) * size**2
    state = {"momentum": rng.normal(0, lr, shape), "square": square, "average": average}
    return {key: value.astype(np.float32) for key, value in state.items()}


def _piece(flat: np.ndarray, parameter, values: np.ndarray) -> np.ndarray:
    """The part of a flat array that belongs to a parameter, which is itself a view of the flat `values`."""
    start = (address(parameter.data) - address(values)) // values.itemsize
    return flat[start:start + parameter.data.size].reshape(parameter.shape)


def _errors(kind: str, ours: dict, single: dict, double: dict) -> list[Error]:
    return [_error(kind, name, ours[name], single[name], double[name]) for name in ours]


def _error(kind: str, name: str, ours, single, double) -> Error:
    size = np.linalg.norm(double)
    return Error(kind, name, *(float(np.linalg.norm(np.asarray(found, np.float64) - double) / size)
                               for found in (ours, single)))
