"""Gradient descent with one rate for all parameters. Weight decay is coupled."""

from __future__ import annotations

from minivae.nn import Flat
from minivae.optim.base import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent (Robbins & Monro 1951).

    p -= lr g
    """

    KERNEL = "sgd"

    def __init__(self, flat: Flat, lr: float = 1e-3, **around):
        super().__init__(flat, lr, **around)

    def _numbers(self) -> tuple[float, ...]:
        return (self.lr,)


class Momentum(Optimizer):
    """Gradient descent with momentum (Polyak 1964).

    m' = mu m - lr g;  p += m'

    The rate goes into m, as in the papers: where it changes from step to step, PyTorch's m, which is without it,
    follows the change at once and this one gradually.
    """

    KERNEL, STATE = "sgd_momentum", ("momentum",)

    def __init__(self, flat: Flat, lr: float = 1e-4, momentum: float = 0.9, **around):
        super().__init__(flat, lr, **around)
        self.momentum = momentum

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.momentum


class Nesterov(Momentum):
    """Gradient descent with Nesterov's momentum (Sutskever et al. 2013).

    m' = mu m - lr g;  p += mu m' - lr g

    The p are the paper's points of look-ahead, where the gradients are taken.
    """

    KERNEL = "sgd_nesterov"
