"""Walks through the space of codes, on the host: between two codes, along one of their numbers, which numbers matter,
in which directions codes differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minivae.errors import UsageError

ACTIVE = 0.01       # variance of a number's mean over the images from which on it is active (Burda et al. 2016)
ALMOST = 1e-6       # as good as 0: the sine of the angle between codes in one direction, or in opposite ones, between which
                    # no arc is told from others; a direction's scale as a part of the widest one's


def between(a: np.ndarray, b: np.ndarray, steps: int, *, spherical: bool = False) -> np.ndarray:
    """Codes on the way from a to b, both ends included.

    Args:
        a, b: (code,).
        steps: how many, at least 2.
        spherical: along the arc between their directions, with lengths that go from one to the other (Shoemake 1985; White
            2016): codes on the way are then about as long as codes of images are, as those on the straight line are not. Where
            they have no angle, or a half turn, between them, the line is straight.

    Returns:
        float32 (steps, code).

    Raises:
        UsageError: fewer steps, or codes that differ in shape.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise UsageError(f"codes of shape {a.shape} and {b.shape}: give two of one shape (code,)")
    if steps < 2:
        raise UsageError(f"{steps} steps: give 2 or more, since both ends are among them")
    t = np.linspace(0, 1, steps)[:, np.newaxis]
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if not spherical or min(lengths) == 0:
        return ((1 - t) * a + t * b).astype(np.float32)
    angle = np.arccos(np.clip(a @ b / (lengths[0] * lengths[1]), -1, 1))
    if np.sin(angle) < ALMOST:
        return ((1 - t) * a + t * b).astype(np.float32)
    directions = (np.sin((1 - t) * angle) * a / lengths[0] + np.sin(t * angle) * b / lengths[1]) / np.sin(angle)
    return (directions * ((1 - t) * lengths[0] + t * lengths[1])).astype(np.float32)


def along(code: np.ndarray, unit: int, values: np.ndarray) -> np.ndarray:
    """A code with one of its numbers set to each of the values: float32 (values, code).

    Raises:
        UsageError: there is no such number.
    """
    if not 0 <= unit < len(code):
        raise UsageError(f"number {unit} of a code of {len(code)}: take 0 to {len(code) - 1}")
    codes = np.tile(np.asarray(code, np.float32), (len(values), 1))
    codes[:, unit] = values
    return codes


def by_activity(mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the code, the most active first: how far an image's mean code varies over the images.

    Args:
        mu: (images, code), mean codes; see apply.encode.

    Returns:
        order: (code,) indices.
        variance: (code,), of the numbers in the code's own order; above ACTIVE a number is active.
    """
    variance = mu.astype(np.float64).var(axis=0)
    return np.argsort(-variance, kind="stable"), variance


def is_active(variance: np.ndarray) -> np.ndarray:
    """Whether numbers of the code are active, by the variance of their means over images."""
    return variance > ACTIVE


class Directions(NamedTuple):
    """Straight ways through the space of codes, at right angles to each other, all through one place.

    Attributes:
        centre: float32 (code,), that place.
        vectors: float32 (count, code), of length 1.
        scales: float64 (count,), how far along each is 1.
        share: float64 (count,), of the codes' variance that lies along each.
    """

    centre: np.ndarray
    vectors: np.ndarray
    scales: np.ndarray
    share: np.ndarray

    def along(self, code: np.ndarray, index: int, values: np.ndarray) -> np.ndarray:
        """A code moved in one direction until its place along that is each of the values: float32 (values, code)."""
        vector = self.vectors[index]
        at = (code - self.centre) @ vector
        return (code + np.outer(np.asarray(values) * self.scales[index] - at, vector)).astype(np.float32)


def principal(mu: np.ndarray, most: int) -> Directions:
    """The directions in which codes differ most (Pearson 1901, principal components), the widest first; the centre is their
    mean, and 1 along each a standard deviation. Where a single number of the code does little, these still do much.

    Args:
        mu: (images, code), mean codes.
        most: how many at most; those in which the codes do not differ at all are left out.
    """
    mean = mu.astype(np.float64).mean(axis=0)
    centred = mu - mean
    _, values, vectors = np.linalg.svd(centred / np.sqrt(len(mu)), full_matrices=False)
    kept = np.flatnonzero(values > ALMOST * max(values[0], ALMOST))[:most]
    values, vectors = values[kept], vectors[kept]
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    vectors = vectors * np.where(largest < 0, -1, 1)[:, np.newaxis]     # of two opposite ones always the same
    share = values**2 / max(centred.var(axis=0).sum(), ALMOST**2)
    return Directions(mean.astype(np.float32), vectors.astype(np.float32), values, share)
