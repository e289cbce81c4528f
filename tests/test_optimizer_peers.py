"""minivae's optimizers beside PyTorch's and optax's own, where those are installed.

The same gradients in float64, fifty steps. Where the programs mean the same by their settings the parameters agree to
1e-12; the settings that make them so, and why they are needed, stand in the table.
"""

import numpy as np
import pytest
from test_optimizer import Two

from minivae.nn import Flat
from minivae.optim import OPTIMIZERS

RATE = 0.01

# name: (ours, class in torch.optim, theirs). Left out are the optimizers that PyTorch lacks.
TORCH = {
    "sgd": ({}, "SGD", {}),
    "sgd, weight decay": ({"weight_decay": 0.1}, "SGD", {"weight_decay": 0.1}),
    "momentum": ({}, "SGD", {"momentum": 0.9}),     # at a constant rate; ours has the rate in the momentum
    "nesterov": ({}, "SGD", {"momentum": 0.9, "nesterov": True}),
    "adagrad": ({}, "Adagrad", {"eps": 1e-10}),
    "adadelta": ({}, "Adadelta", {"rho": 0.95, "eps": 1e-6}),       # PyTorch's decay is 0.9
    "rmsprop-plain": ({}, "RMSprop", {"alpha": 0.9}),               # PyTorch's decay is 0.99
    # The paper's epsilon is inside the root, PyTorch's outside: they agree without one.
    "rmsprop-centred": ({"epsilon": 0.0}, "RMSprop", {"alpha": 0.95, "centered": True, "eps": 0.0}),
    "rmsprop-momentum": ({"epsilon": 0.0}, "RMSprop", {"alpha": 0.95, "centered": True, "eps": 0.0, "momentum": 0.9}),
    "adam": ({}, "Adam", {}),
    "adam, weight decay": ({"weight_decay": 0.1}, "Adam", {"weight_decay": 0.1}),
    "amsgrad": ({}, "Adam", {"amsgrad": True}),
    "adamw": ({}, "AdamW", {}),
    "adamax": ({}, "Adamax", {}),
    "nadam": ({}, "NAdam", {}),
    # PyTorch's threshold is 5; its epsilon is added before the correction of v: they agree without one.
    "radam": ({"tractable": 5.0, "epsilon": 0.0}, "RAdam", {"eps": 0.0}),
}

# name: (ours, function in optax, theirs); optax's epsilon is outside the root unless eps_in_sqrt or eps_root says so.
OPTAX = {
    "sgd": ({}, "sgd", {}),
    "momentum": ({}, "sgd", {"momentum": 0.9}),
    "nesterov": ({}, "sgd", {"momentum": 0.9, "nesterov": True}),
    # optax's epsilon is inside the root, and its sum begins at 0.1 unless it is told otherwise.
    "adagrad": ({"epsilon": 0.0}, "adagrad", {"initial_accumulator_value": 0.0, "eps": 0.0}),
    "adadelta": ({}, "adadelta", {"rho": 0.95, "eps": 1e-6}),
    "rmsprop-plain": ({}, "rmsprop", {"decay": 0.9, "eps": 1e-8, "eps_in_sqrt": False}),
    "rmsprop-centred": ({}, "rmsprop", {"decay": 0.95, "eps": 1e-4, "centered": True}),
    "rmsprop-momentum": ({}, "rmsprop", {"decay": 0.95, "eps": 1e-4, "centered": True, "momentum": 0.9}),
    "adam": ({}, "adam", {}),
    "adamw": ({}, "adamw", {"weight_decay": 0.01}),     # optax's own is 1e-4
    "adamax": ({}, "adamax", {}),
    "radam": ({"tractable": 5.0}, "radam", {}),
    "lion": ({}, "lion", {"weight_decay": 0.0}),
    "lamb": ({"weight_decay": 0.01}, "lamb", {"weight_decay": 0.01}),
}


def ours(cpu, rng, name, settings, clip=None):
    """(parameters as two tensors, gradients, the parameters after)."""
    model = Two(cpu, np.float64, rng)
    flat = Flat(model, cpu, np.float64)
    optimizer = OPTIMIZERS[name.split(",")[0]](flat, RATE, **{"limit": clip, **settings})
    before, grads = model.vector, rng.standard_normal((50, 38)) * np.exp(rng.uniform(-3, 2, (50, 1)))
    for g in grads:
        model.give(g)
        optimizer.step()
    return [before[:35].reshape(7, 5), before[35:]], [(g[:35].reshape(7, 5), g[35:]) for g in grads], model.vector


def beside_torch(before, grads, kind, settings, clip=None):
    torch = pytest.importorskip("torch")
    tensors = [torch.nn.Parameter(torch.tensor(b)) for b in before]
    optimizer = getattr(torch.optim, kind)(tensors, lr=RATE, **settings)
    for gs in grads:
        for tensor, g in zip(tensors, gs, strict=True):
            tensor.grad = torch.tensor(g)
        if clip:
            torch.nn.utils.clip_grad_norm_(tensors, clip)
        optimizer.step()
    return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])


@pytest.mark.parametrize("name", TORCH)
def test_pytorch(cpu, rng, name):
    own, kind, theirs = TORCH[name]
    before, grads, after = ours(cpu, rng, name, own)
    tolerance = 1e-8 if name == "nadam" else 1e-12      # PyTorch keeps NAdam's product of momenta in float32
    np.testing.assert_allclose(after, beside_torch(before, grads, kind, theirs), rtol=0, atol=tolerance)


def test_pytorchs_clipping_by_the_norm(cpu, rng):
    """PyTorch divides by the norm + 1e-6, which is a share of 1e-6 at a limit of 1."""
    before, grads, after = ours(cpu, rng, "sgd", {}, clip=1.0)
    np.testing.assert_allclose(after, beside_torch(before, grads, "SGD", {}, clip=1.0), atol=5e-6)


@pytest.mark.parametrize("name", OPTAX)
def test_optax(cpu, rng, name):
    jax, optax = pytest.importorskip("jax"), pytest.importorskip("optax")
    own, kind, theirs = OPTAX[name]
    before, grads, after = ours(cpu, rng, name, own)
    with jax.enable_x64(True):
        transform = getattr(optax, kind)(RATE, **theirs)
        values = [jax.numpy.asarray(b) for b in before]
        state = transform.init(values)
        for gs in grads:
            updates, state = transform.update([jax.numpy.asarray(g) for g in gs], state, values)
            values = optax.apply_updates(values, updates)
        found = np.concatenate([np.asarray(v).ravel() for v in values])
    np.testing.assert_allclose(after, found, rtol=1e-10, atol=1e-10)
