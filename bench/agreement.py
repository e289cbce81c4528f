"""Whether minivae and its peers compute the same costs, gradients and optimizer step from the same numbers.

The reference is minivae in float64. That the peers' float64 agrees with it to TOLERANCE shows that all compute the
same function. Then everybody's float32, the one that is timed, is held against it too. Every error is
|found - reference| / |reference|, as norms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minivae.data import Dataset
from minivae.device import CpuDevice, address
from minivae.models import build
from minivae.nn import Flat
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import TRAIN, Noise, standard_normal
from minivae.optim import OPTIMIZERS
from minivae.runs import Settings

TOLERANCE = 1e-9        # of float64; found: up to 2e-11
# Of float32. Gradients jump where an activation or a maximum has a kink. Among millions of outputs one or two lie so
# close to it that rounding decides on which side; each puts 1e-3 to 3e-3 into all gradients before it, which else are
# right to 1e-5. Peers are allowed more, since their rounding is not ours to judge and float64 has told that they are
# right: PyTorch's channels-last batch norm is itself off by 1e-4 over 100,000 rows, its gradients by 4e-2.
TOLERANCES = {"cost": 1e-5, "gradient": 1e-2, "change": 1e-4}
GRADIENT_OF_PEERS = 0.1
KINDS = tuple(TOLERANCES)       # "change" is what the optimizer adds to a parameter


class Error(NamedTuple):
    """How far one program is from the reference in one thing.

    Attributes:
        program: who computed it.
        dtype: in which numbers, "float64" or "float32".
        kind: one of KINDS.
        name: of the cost or parameter.
        value: the error.
        tolerance: the largest that is fine.
    """

    program: str
    dtype: str
    kind: str
    name: str
    value: float
    tolerance: float

    @property
    def fine(self) -> bool:
        return self.value <= self.tolerance         # so that NaN is not


class Minivae:
    """minivae behind the methods of a peer (see torch_training.Peer), on the first images of a data set."""

    def __init__(self, settings: Settings, dataset: Dataset, device: CpuDevice, dtype):
        self.model = build(
            settings.arch, dataset.image_shape, device, hidden=settings.hidden, code=settings.code, channels=settings.channels,
            likelihood=settings.likelihood, seed=settings.seed, dtype=dtype)
        self.parameters, self.flat = dict(self.model.named_parameters()), Flat(self.model, device, dtype)
        self.optimizer = OPTIMIZERS[settings.optimizer](self.flat, settings.learning_rate)
        count, self.noise = settings.batch_size, Noise(settings.seed, 0, TRAIN)
        self.x, self.example = DeviceImages(dataset.train_images, device, dtype).batch(0, count)
        self.eps = standard_normal(device, count, self.model.code, self.noise, dtype)

    def load(self, values: dict[str, np.ndarray]) -> None:
        for name, p in self.parameters.items():
            p.data[...] = values[name]

    def gradients(self, x: np.ndarray, eps: np.ndarray) -> tuple[list[float], dict[str, np.ndarray]]:
        """As a peer's; x and eps can only be its own, since it draws the noise where it is used."""
        if not (np.array_equal(x, self.x) and np.array_equal(eps, self.eps)):
            raise ValueError("minivae's images and noise in float32 are not those in float64, rounded")
        cost = self.model.cost(self.x, self.example, self.noise)
        cost.total.backward()
        costs = [cost.total.item(), *(float(part.mean(dtype=np.float64)) for part in (cost.reconstruction, cost.kl))]
        return costs, {name: p.grad.astype(np.float64) for name, p in self.parameters.items()}

    def stepped(self, like, grads: dict, state: dict[str, dict]) -> dict[str, np.ndarray]:
        self.optimizer.limit = like.limit
        for name, p in self.parameters.items():
            p.grad[...] = grads[name]
            for key, arrays in state.items():
                _piece(self.optimizer.state[key], p, self.flat.values)[...] = arrays[name]
        self.optimizer.step()
        return {name: p.data.astype(np.float64) for name, p in self.parameters.items()}


class Question(NamedTuple):
    """What every program is asked, and what the reference answers."""

    values: dict
    x: np.ndarray
    eps: np.ndarray
    optimizer: object
    state: dict
    costs: list
    grads: dict
    changes: dict


def check(settings: Settings, dataset: Dataset, device: CpuDevice, make: Callable, peers: dict) -> list[Error]:
    """All errors.

    Args:
        settings: of the model and its training; the batch is the one that will be timed.
        dataset: whose first training images to take.
        device: minivae's.
        make: (title, minivae's model in float64) -> that peer in float64, or None where there is none.
        peers: title to peer, in float32. Their parameters are changed.
    """
    reference = Minivae(settings, dataset, device, np.float64)
    question = _ask(reference)
    errors = _errors("minivae", Minivae(settings, dataset, device, np.float32), np.float32, question)
    for title, peer in peers.items():
        wide = make(title, reference.model)
        if wide is not None:
            errors += _errors(title, wide, np.float64, question)
        errors += _errors(title, peer, np.float32, question)
    return errors


def _ask(reference: Minivae) -> Question:
    """Float64 values that are float32's as well, so that no program rounds them."""
    rng, values = np.random.default_rng(1), {}
    for name, p in reference.parameters.items():    # at 1 and 0 a forgotten factor or term would not show
        values[name] = rng.uniform(0.5, 1.5, p.shape) if name.endswith("gamma") else (
            rng.uniform(-0.5, 0.5, p.shape) if name.endswith("beta") else p.data)
    values = _rounded(values)
    reference.load(values)
    x, eps = np.array(reference.x), np.array(reference.eps)
    costs, grads = reference.gradients(x, eps)
    optimizer, rounded = reference.optimizer, _rounded(grads)
    size = np.sqrt(sum(float((g**2).sum()) for g in grads.values()))
    optimizer.limit = float(size) / 2               # rescaling must happen to be tested
    state = _some_state(rng, grads, optimizer)
    after = reference.stepped(optimizer, rounded, state)
    return Question(values, x, eps, optimizer, state, costs, grads, {k: after[k] - values[k] for k in values})


def _some_state(rng, grads: dict, optimizer) -> dict[str, dict]:
    """The state of RMSProp as after many gradients of the limit's size; square > average^2."""
    state = {"momentum": {}, "square": {}, "average": {}}
    size = optimizer.limit / sum(g.size for g in grads.values())**0.5
    for name, g in grads.items():
        average = rng.normal(0, size, g.shape)
        state["momentum"][name] = rng.normal(0, optimizer.lr, g.shape)
        state["square"][name] = average**2 + rng.uniform(0.2, 2, g.shape) * size**2
        state["average"][name] = average
    return {key: _rounded(arrays) for key, arrays in state.items()}


def _rounded(arrays: dict, dtype=np.float64) -> dict:
    """Copies that float32 holds exactly."""
    return {name: array.astype(np.float32).astype(dtype) for name, array in arrays.items()}


def _errors(title: str, program, dtype, question: Question) -> list[Error]:
    program.load(_rounded(question.values, dtype))
    costs, grads = program.gradients(question.x.astype(dtype), question.eps.astype(dtype))
    state = {key: _rounded(arrays, dtype) for key, arrays in question.state.items()}
    after = program.stepped(question.optimizer, _rounded(question.grads, dtype), state)
    names = ("total", "reconstruction", "KL")
    answers = {"cost": (dict(zip(names, costs, strict=True)), dict(zip(names, question.costs, strict=True))),
               "gradient": (grads, question.grads),
               "change": ({name: after[name] - value for name, value in question.values.items()}, question.changes)}
    return [Error(title, np.dtype(dtype).name, kind, name, _distance(found[name], reference),
                  _tolerance(title, dtype, kind))
            for kind, (found, wanted) in answers.items() for name, reference in wanted.items()]


def _tolerance(title: str, dtype, kind: str) -> float:
    if dtype == np.float64:
        return TOLERANCE
    return GRADIENT_OF_PEERS if kind == "gradient" and title != "minivae" else TOLERANCES[kind]


def _distance(found, reference) -> float:
    return float(np.linalg.norm(np.asarray(found, np.float64) - reference) / np.linalg.norm(reference))


def _piece(flat: np.ndarray, parameter, values: np.ndarray) -> np.ndarray:
    """The part of a flat array that belongs to a parameter, which is itself a view of the flat `values`."""
    start = (address(parameter.data) - address(values)) // values.itemsize
    return flat[start:start + parameter.data.size].reshape(parameter.shape)
