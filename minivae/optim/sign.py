"""Updates of one size for all parameters: only the sign of the gradient's mean counts."""

from __future__ import annotations

from minivae.nn import Flat
from minivae.optim.base import Optimizer


class Lion(Optimizer):
    """Lion (Chen et al. 2023, algorithm 2).

    p -= lr sign(b1 m + (1 - b1) g) + lr weight_decay p;  m <- b2 m + (1 - b2) g

    Weight decay is decoupled.
    """

    KERNEL, STATE, DECOUPLED = "lion", ("mean",), True

    def __init__(self, flat: Flat, lr: float = 1e-4, beta1: float = 0.9, beta2: float = 0.99, **around):
        super().__init__(flat, lr, **around)
        self.beta1, self.beta2 = beta1, beta2

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2, self.lr * self.weight_decay
