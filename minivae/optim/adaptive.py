"""A rate for each parameter, from the squares of its gradients: Adagrad, Adadelta, RMSProp. Weight decay is coupled."""

from __future__ import annotations

from minivae.nn import Flat
from minivae.optim.base import Optimizer


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011).

    s += g^2;  p -= lr g / (sqrt(s) + epsilon)
    """

    KERNEL, STATE = "adagrad", ("square",)

    def __init__(self, flat: Flat, lr: float = 1e-2, epsilon: float = 1e-10, **around):
        super().__init__(flat, lr, **around)
        self.epsilon = epsilon

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.epsilon


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012, algorithm 1).

    n <- d n + (1 - d) g^2;  s = g sqrt(u + epsilon) / sqrt(n + epsilon);  u <- d u + (1 - d) s^2;  p -= lr s

    The paper has no rate: lr = 1.
    """

    KERNEL, STATE = "adadelta", ("square", "change")

    def __init__(self, flat: Flat, lr: float = 1.0, decay: float = 0.95, epsilon: float = 1e-6, **around):
        super().__init__(flat, lr, **around)
        self.decay, self.epsilon = decay, epsilon

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.decay, 1 - self.decay, self.epsilon


class RMSPropPlain(Optimizer):
    """RMSProp, plain (Tieleman & Hinton 2012, lecture 6.5).

    n <- d n + (1 - d) g^2;  p -= lr g / (sqrt(n) + epsilon)
    """

    KERNEL, STATE = "rmsprop", ("square",)

    def __init__(self, flat: Flat, lr: float = 1e-3, decay: float = 0.9, epsilon: float = 1e-8, **around):
        super().__init__(flat, lr, **around)
        self.decay, self.epsilon = decay, epsilon

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.decay, 1 - self.decay, self.epsilon


class RMSPropCentred(RMSPropPlain):
    """RMSProp, centred (Graves 2013, eq. 38-40, with no momentum).

    n <- d n + (1 - d) g^2;  a <- d a + (1 - d) g;  p -= lr g / sqrt(n - a^2 + epsilon)

    Epsilon stands inside the root, as in the paper; PyTorch adds it to the root.
    """

    KERNEL, STATE = "rmsprop_centred", ("square", "average")

    def __init__(self, flat: Flat, lr: float = 1e-3, decay: float = 0.95, epsilon: float = 1e-4, **around):
        super().__init__(flat, lr, decay, epsilon, **around)


class RMSPropMomentum(RMSPropCentred):
    """RMSProp, centred, with momentum (Graves 2013, eq. 38-41).

    n <- d n + (1 - d) g^2;  a <- d a + (1 - d) g;  m' = mu m - lr g / sqrt(n - a^2 + epsilon);  p += m'
    """

    KERNEL, STATE = "rmsprop_momentum", ("momentum", "square", "average")

    def __init__(self, flat: Flat, lr: float = 1e-3, momentum: float = 0.9, decay: float = 0.95, epsilon: float = 1e-4,
                 **around):
        super().__init__(flat, lr, decay, epsilon, **around)
        self.momentum = momentum

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.momentum, self.decay, 1 - self.decay, self.epsilon


class RMSProp(Optimizer):
    """RMSProp, rescaled and centred, with Nesterov's momentum (Graves 2013, Sutskever et al. 2013).

    n <- d n + (1 - d) g^2;  a <- d a + (1 - d) g;  s = lr g / max(sqrt(n - a^2), floor);  m' = mu m - s;  p += mu m' - s

    The first project's optimizer: g is rescaled to a global norm of at most `limit`, and where the norm is not finite
    0.1 p takes its place.
    """

    KERNEL, STATE = "rmsprop_nesterov", ("momentum", "square", "average")

    def __init__(self, flat: Flat, lr: float = 1e-3, momentum: float = 0.9, decay: float = 0.9, floor: float = 1e-4,
                 limit: float | None = 5.0, **around):
        super().__init__(flat, lr, limit=limit, **around)
        self.momentum, self.decay, self.floor = momentum, decay, floor

    def _numbers(self) -> tuple[float, ...]:
        return self.lr, self.momentum, self.decay, self.floor
