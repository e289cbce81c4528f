"""Finite differences of a whole model's cost, shared by the models' tests."""

import numpy as np
import pytest

from minivae.ops.reparameterize import Noise


def check_model(model, x, example, rng: np.random.Generator, step: float, **settings) -> None:
    """The gradient of the model's cost with respect to all parameters at once, and to each alone, in float64.

    Settings go to the cost. `step` is so small that no ReLU or clip changes sides, and so large that rounding does not drown the difference.
    """
    device, parameters = model.device, list(model.parameters())
    values = [device.to_host(p.data) for p in parameters]

    def cost_at(arrays):
        for p, a in zip(parameters, arrays, strict=True):
            p.data = device.from_host(a)
        return model.cost(x, example, Noise(1, 1), **settings).total

    cost_at(values).backward()
    found = [device.to_host(p.grad) for p in parameters]
    moves = [rng.standard_normal(v.shape) for v in values]
    for chosen in [range(len(values)), *([i] for i in range(len(values)))]:
        backward = sum((moves[i] * found[i]).sum() for i in chosen)
        ahead, behind = (cost_at([v + h * m * (i in chosen) for i, (v, m) in enumerate(zip(values, moves, strict=True))]).item()
                         for h in (step, -step))
        assert backward == pytest.approx((ahead - behind) / (2 * step), rel=1e-5, abs=1e-6)
