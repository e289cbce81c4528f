"""Optimizers, simplest first. Each step is two launches: the global norm, and the update of everything.

All of them take the gradient rescaled to a global norm of at most `limit`; where the norm is not finite, a step
uses 0.1 * parameter as its gradient, which shrinks the parameters instead of breaking them.
"""

from __future__ import annotations

import math

from minivae.device import device_of
from minivae.kernels import launch
from minivae.nn import Flat
from minivae.work import blocks, elements

NORM_PARTS, NORM_SHARE = 256, 1024      # at most so many blocks take the norm, each of at least so many elements


class Optimizer:
    """What all optimizers share.

    Args:
        flat: the parameters.
        lr: learning rate, > 0; may be changed between steps.
        limit: the global norm that a gradient is rescaled to where it is longer; None for never.

    Attributes:
        state: name to array of parameter-shaped state, saved and restored with a run.
        steps: how many steps were made.
    """

    STATE: tuple[str, ...] = ()

    def __init__(self, flat: Flat, lr: float, limit: float | None = None):
        self.flat, self.lr, self.steps = flat, lr, 0
        self.limit = math.inf if limit is None else limit
        device = device_of(flat.values)
        self.state = {name: device.zeros(flat.values.shape, flat.values.dtype) for name in self.STATE}
        parts = min(NORM_PARTS, -(-flat.values.size // NORM_SHARE))
        self._partial = device.empty((parts,), flat.values.dtype)

    def step(self) -> None:
        """Update all parameters from their gradients, and forget the gradients."""
        self.flat.require_grad()
        n = self.flat.values.size
        parts = len(self._partial)
        launch("squared_norm", blocks(parts), self.flat.grads, self._partial, n)
        self.steps += 1
        launch(self.KERNEL, elements(n), self.flat.values, self.flat.grads, *self.state.values(), self._partial,
               n, parts, self.limit, self.lr, *self.settings())
        self.flat.clear_grad()

    def settings(self) -> tuple[float, ...]:
        """The numbers that the kernel takes after the learning rate."""
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent with Nesterov's momentum: m' = mu m - lr g;  p += mu m' - lr g  (Sutskever et al. 2013)."""

    KERNEL, STATE = "sgd_nesterov", ("momentum",)

    def __init__(self, flat: Flat, lr: float = 1e-3, momentum: float = 0.9, limit: float | None = None):
        super().__init__(flat, lr, limit)
        self.momentum = momentum

    def settings(self) -> tuple[float, ...]:
        return (self.momentum,)


class RMSProp(Optimizer):
    """Rescaled, centred RMSProp with Nesterov's momentum (Graves 2013, eq. 38-40; the first project's optimizer).

    g <- g r / max(r, |g|) with r = limit;  n <- d n + (1 - d) g^2;  a <- d a + (1 - d) g;
    rms = max(sqrt(n - a^2), floor);  m' = mu m - lr g / rms;  p += mu m' - lr g / rms
    """

    KERNEL, STATE = "rmsprop_nesterov", ("momentum", "square", "average")

    def __init__(self, flat: Flat, lr: float = 1e-3, momentum: float = 0.9, decay: float = 0.9, floor: float = 1e-4,
                 limit: float | None = 5.0):
        super().__init__(flat, lr, limit)
        self.momentum, self.decay, self.floor = momentum, decay, floor

    def settings(self) -> tuple[float, ...]:
        return self.momentum, self.decay, self.floor


class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p -= lr m^ / (sqrt(v^) + epsilon), m^ = m / (1 - b1^t),
    v^ = v / (1 - b2^t)  (Kingma & Ba 2015, algorithm 1)."""

    KERNEL, STATE = "adam", ("mean", "square")

    def __init__(self, flat: Flat, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
                 limit: float | None = None):
        super().__init__(flat, lr, limit)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def settings(self) -> tuple[float, ...]:
        return self.beta1, self.beta2, self.epsilon, 1 - self.beta1**self.steps, 1 - self.beta2**self.steps


OPTIMIZERS = {"sgd": SGD, "rmsprop": RMSProp, "adam": Adam}     # the names on the command line
