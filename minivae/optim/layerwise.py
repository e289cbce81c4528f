"""A rate for each parameter tensor, from its own norm."""

from __future__ import annotations

import numpy as np

from minivae.device import device_of
from minivae.kernels import launch
from minivae.nn import Flat
from minivae.optim.adam import Adam
from minivae.work import blocks

PIECE = 8192        # elements of one tensor that a block owns, at most; whole packs, so that every piece is aligned


class LAMB(Adam):
    """LAMB, Adam with a rate for each tensor (You et al. 2020, algorithm 2).

    r = m^ / (sqrt(v^) + epsilon) + weight_decay p;  p -= lr |p| / |r| r over each parameter tensor

    Where |p| or |r| is zero, p -= lr r; the paper's phi is the identity. Weight decay is part of r. Two launches, since
    all norms must be known before the first parameter changes.
    """

    DECOUPLED = WHOLE = True

    def __init__(self, flat: Flat, lr: float = 1e-2, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-6,
                 weight_decay: float = 0.01, **around):
        super().__init__(flat, lr, beta1, beta2, epsilon, weight_decay=weight_decay, **around)
        device, pieces = device_of(flat.values), _pieces(flat)
        self._pieces = device.from_host(pieces)
        self._sums = device.empty((len(pieces), 2), flat.values.dtype)

    def _update(self, partial, parts: int, limit: float, clip: float) -> None:
        (mean, square), work = self.state.values(), blocks(len(self._sums))
        first, second = self._corrections()
        step = self.epsilon, 1 / first, 1 / second, self.weight_decay
        launch("lamb_means", work, self.flat.values, self.flat.grads, mean, square, self._pieces, partial, self._sums,
               parts, limit, clip, *self._betas(), *step)
        launch("lamb_update", work, self.flat.values, mean, square, self._pieces, self._sums, self.lr, *step)


def _pieces(flat: Flat) -> np.ndarray:
    """For each block (begin, end, its tensor's first piece, the piece after its last); see optimizer_lamb.cu."""
    rows: list[tuple[int, int, int, int]] = []
    for begin, end in flat.segments:
        cuts = range(begin, end, PIECE)
        first = len(rows)
        rows += [(at, min(at + PIECE, end), first, first + len(cuts)) for at in cuts]
    return np.array(rows, np.int64)
