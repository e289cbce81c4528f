"""The space of codes in two dimensions, for the page's map."""

from __future__ import annotations

import numpy as np

from minivae.page.coding import Coded

MOST = 64       # numbers of the code, the most active ones, whose principal components are taken


def flat(coded: Coded, order: np.ndarray) -> tuple[np.ndarray, tuple[str, str], float | None]:
    """Every code's place on the map.

    Args:
        order: the numbers of the code, the most active first.

    Returns:
        places: (count, 2) float64, finite.
        axes: what they are.
        share: of the codes' variance that the two axes have; None where all of the code is on the map.
    """
    mu = np.nan_to_num(coded.mu.astype(np.float64))
    if mu.shape[1] == 1:
        return np.stack([mu[:, 0], np.nan_to_num(coded.sigma[:, 0].astype(np.float64))], axis=1), ("mean", "sigma"), None
    if mu.shape[1] == 2:
        return mu, ("number 0", "number 1"), None
    return _components(mu, order)


def _components(mu: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, tuple[str, str], float | None]:
    """The first two principal components."""
    centred = mu[:, order[:MOST]]
    centred = centred - centred.mean(0)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :2]
    axes = axes * np.where(axes[np.abs(axes).argmax(0), [0, 1]] < 0, -1, 1)     # of two opposite ones always the same
    total = float(mu.var(0).sum()) * len(mu)
    share = float(values[-2:].sum()) / total if total > 0 else None
    return centred @ axes, ("first component", "second component"), share
