"""The fixed-point statistics of batch norm: what it normalizes with once training is over.

Ioffe & Szegedy 2015, algorithm 2: the mean and variance of each layer's input over the training set, under the final
parameters. A layer's statistics depend on those of the layers before it, so they are the fixed point of "normalize
with these, and take the moments of what comes out". The first pass normalizes with each batch's own
moments; every further pass with what the last one found, which makes at least one more layer exact, so that as many
passes as there are layers end it. In practice the change is below a thousandth after a few.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from minivae.device import device_of
from minivae.nn import BatchNorm, Module, batch_norms
from minivae.parallel.group import ALONE, Group
from minivae.tensor import no_grad

TOLERANCE = 1e-3        # of a layer's standard deviation (mean) and of its variance


class Passes(NamedTuple):
    """How the search ended: how many passes were made, and the last one's largest change."""

    count: int
    change: float


def compute(model: Module, batches: Callable[[], Iterable[None]], *, tolerance: float = TOLERANCE,
            most: int | None = None, group: Group = ALONE) -> Passes:
    """Give every batch norm of `model` its fixed-point statistics, and leave the model in evaluation.

    Args:
        model: its `moments` are set.
        batches: called once a pass; iterating over it runs the model over the data, batch by batch.
        tolerance: the search ends when no layer's mean moves by more than this many standard deviations,
            and no variance by more than this share.
        most: passes at most; None for one more than there are layers.
        group: the processes each of which runs the model over a part of the data; all get the statistics over the whole.
    """
    norms = [bn for _, bn in batch_norms(model)]
    most = most or len(norms) + 1
    model.train()
    before, change, count = None, float("inf"), 0
    with no_grad():
        while count < most and change > tolerance:
            gathered = [_begin(bn) for bn in norms]
            try:
                for _ in batches():
                    pass
            finally:
                rows = [bn.gather(None) for bn in norms]
            count += 1
            for bn, found in zip(norms, joined(gathered, rows, group), strict=True):
                bn.moments = found
            model.train(False)
            now = [device_of(bn.moments).to_host(bn.moments).astype(np.float64) for bn in norms]
            change = float("inf") if before is None else max(map(_change, before, now))
            before = now
    return Passes(count, change)


def _begin(bn: BatchNorm):
    """A new place for a layer's moments, gathered from now on."""
    place = device_of(bn.gamma.data).zeros((2, *bn.gamma.shape), bn.gamma.dtype)
    bn.gather(place)
    return place


def joined(gathered: list, rows: list[int], group: Group) -> list:
    """Moments over what all processes have seen, on the device: Chan et al. 1979, in float64.

    Args:
        gathered: of each of several layers, (2, channels), over what this process has seen.
        rows: how much that is.
    """
    if group.size == 1:
        return gathered
    own = [device_of(found).to_host(found).astype(np.float64) for found in gathered]
    merged = []
    for found, parts in zip(gathered, zip(*group.exchange(list(zip(rows, own, strict=True))), strict=True), strict=True):
        weights = np.array([count for count, _ in parts], np.float64)[:, None] / sum(count for count, _ in parts)
        means, variances = np.stack([moments for _, moments in parts], 1)
        mean = (weights * means).sum(0)
        variance = (weights * (variances + (means - mean) ** 2)).sum(0)
        merged.append(device_of(found).from_host(np.stack([mean, variance]).astype(found.dtype)))
    return merged


def _change(before: np.ndarray, now: np.ndarray) -> float:
    variance = np.maximum(now[1], 1e-12)
    return float(max((np.abs(now[0] - before[0]) / np.sqrt(variance)).max(),
                     (np.abs(now[1] - before[1]) / variance).max()))
