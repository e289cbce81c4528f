"""Adam and what came of it: means of the gradient and of its square, corrected for their start at zero.

In all of them m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  m^ = m / (1 - b1^t);  v^ = v / (1 - b2^t)  in step
number t. The corrections are taken on the host, in float64. Weight decay is coupled but for AdamW.
"""

from __future__ import annotations

import math

from minivae.nn import Flat
from minivae.optim.base import Optimizer


class Adam(Optimizer):
    """Adam (Kingma & Ba 2015, algorithm 1).

    m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p -= lr m^ / (sqrt(v^) + epsilon),
    m^ = m / (1 - b1^t), v^ = v / (1 - b2^t)
    """

    KERNEL, STATE = "adam", ("mean", "square")

    def __init__(self, flat: Flat, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
                 **around):
        super().__init__(flat, lr, **around)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def _betas(self) -> tuple[float, ...]:
        return self.beta1, 1 - self.beta1, self.beta2, 1 - self.beta2

    def _corrections(self) -> tuple[float, float]:
        """What m and v are divided by."""
        return 1 - self.beta1**self.steps, 1 - self.beta2**self.steps

    def _numbers(self) -> tuple[float, ...]:
        first, second = self._corrections()
        decoupled = self.lr * self.weight_decay if self.DECOUPLED else 0.0
        return *self._betas(), self.epsilon, self.lr / first, 0.0, 1 / second, decoupled


class AdamW(Adam):
    """AdamW, Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).

    p -= lr m^ / (sqrt(v^) + epsilon) + lr weight_decay p

    The decay is multiplied by the whole rate, as in PyTorch and optax; in the paper by the schedule's factor of it alone.
    """

    DECOUPLED = True

    def __init__(self, flat: Flat, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
                 weight_decay: float = 0.01, **around):
        super().__init__(flat, lr, beta1, beta2, epsilon, weight_decay=weight_decay, **around)


class AMSGrad(Adam):
    """AMSGrad (Reddi et al. 2018, algorithm 2, with Adam's corrections).

    x <- max(x, v);  p -= lr m^ / (sqrt(x / (1 - b2^t)) + epsilon)

    The corrections are not in the paper's algorithm, which leaves them out for its proof; these are PyTorch's, while
    optax takes the maximum of the corrected v^.
    """

    KERNEL, STATE = "amsgrad", ("mean", "square", "most")

    def _numbers(self) -> tuple[float, ...]:
        first, second = self._corrections()
        return *self._betas(), self.epsilon, self.lr / first, 1 / second


class Adamax(Adam):
    """Adamax (Kingma & Ba 2015, algorithm 2).

    u <- max(b2 u, |g| + epsilon);  p -= lr m^ / u

    The paper has no epsilon and divides by zero where a gradient has always been zero.
    """

    KERNEL, STATE = "adamax", ("mean", "largest")

    def __init__(self, flat: Flat, lr: float = 2e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
                 **around):
        super().__init__(flat, lr, beta1, beta2, epsilon, **around)

    def _numbers(self) -> tuple[float, ...]:
        return self.beta1, 1 - self.beta1, self.beta2, self.epsilon, self.lr / self._corrections()[0]


class NAdam(Adam):
    """NAdam, Adam with Nesterov's momentum (Dozat 2016).

    p -= lr (c m / (1 - c B) + (1 - b) g / (1 - B)) / (sqrt(v^) + epsilon),  b = mu(t), c = mu(t + 1),
    B = mu(1) ... mu(t), mu(t) = b1 (1 - 0.96^(t / 250) / 2)

    As in the paper's experiments the momentum warms up by mu(t), while m itself is Adam's, with b1.
    """

    FACTS = ("steps", "product")

    def __init__(self, flat: Flat, lr: float = 2e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
                 **around):
        super().__init__(flat, lr, beta1, beta2, epsilon, **around)
        self.product = 1.0

    def _warmed(self, step: int) -> float:
        return self.beta1 * (1 - 0.5 * 0.96**(step / 250))

    def _numbers(self) -> tuple[float, ...]:
        now, ahead = self._warmed(self.steps), self._warmed(self.steps + 1)
        self.product *= now
        return (*self._betas(), self.epsilon, self.lr * ahead / (1 - self.product * ahead),
                self.lr * (1 - now) / (1 - self.product), 1 / self._corrections()[1], 0.0)


class RAdam(Adam):
    """RAdam, Adam with a rectified variance (Liu et al. 2020, algorithm 2).

    p -= lr r m^ / (sqrt(v^) + epsilon) where rho > 4, else p -= lr m^;  R = 2 / (1 - b2) - 1,
    rho = R - 2 t b2^t / (1 - b2^t),  r^2 = (rho - 4) (rho - 2) R / ((R - 4) (R - 2) rho)

    Args:
        tractable: the rho above which the variance is used; 4 in the paper, 5 in the author's code, PyTorch and optax.
    """

    def __init__(self, flat: Flat, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8,
                 tractable: float = 4.0, **around):
        super().__init__(flat, lr, beta1, beta2, epsilon, **around)
        self.tractable = tractable

    def _numbers(self) -> tuple[float, ...]:
        first, second = self._corrections()
        most = 2 / (1 - self.beta2) - 1
        rho = most - 2 * self.steps * (1 - second) / second
        if rho > self.tractable:
            r = math.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
            return *self._betas(), self.epsilon, self.lr * r / first, 0.0, 1 / second, 0.0
        return *self._betas(), 1.0, self.lr / first, 0.0, 0.0, 0.0      # divides by sqrt(0 v) + 1
