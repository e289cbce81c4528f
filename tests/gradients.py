"""What the tests of gradients share: finite differences of a whole model's cost, and gradients made wrong."""

import numpy as np
import pytest

from minivae.device import device_of
from minivae.ops.reparameterize import Noise
from minivae.tensor import Tensor


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


def make_wrong(output: Tensor, number: int, *, one_element: bool = False, factor: float = 1.001) -> None:
    """Let the operation that made `output` give a wrong gradient to one of its inputs.

    Args:
        number: which of the inputs that get a gradient.
        one_element: the factor is for the element of the largest gradient alone.
    """
    node = output._source[0]
    at = [i for i, parent in enumerate(node.parents) if parent is not None][number]
    right = node.backward

    def wrong(*gradients_and_into):
        found = right(*gradients_and_into)
        found = list(found) if isinstance(found, tuple) else [found]
        device = device_of(found[at])
        array = np.array(device.to_host(found[at]))
        place = np.unravel_index(np.abs(array).argmax(), array.shape) if one_element else ...
        array[place] *= factor
        found[at] = device.from_host(array)
        return tuple(found)

    node.backward = wrong
