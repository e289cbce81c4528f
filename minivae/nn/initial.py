"""Initial weights, drawn in float64 on the host."""

from __future__ import annotations

import math

import numpy as np


def glorot(rng: np.random.Generator, inputs: int, outputs: int, heads: int = 1,
           shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Uniform weights in +-sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010, eq. 16), float64.

    Args:
        inputs, outputs: how many numbers a unit takes, and how many units each number goes to.
        heads: the columns hold that many layers side by side, each of outputs / heads units.
        shape: of the weights; by default (inputs, outputs).
    """
    limit = math.sqrt(6 / (inputs + outputs // heads))
    return rng.uniform(-limit, limit, shape or (inputs, outputs))
