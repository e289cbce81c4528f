"""Which images are held out to test with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Sequence

LEAST_TRAINING = 2      # images that a training needs at least


def ranks(names: Sequence[str], seed: int) -> list[bytes]:
    """A place in a drawn order for every name: it depends on the name and the seed alone, so that images that come or go
    leave the others where they are."""
    key = seed.to_bytes(8, "big")
    return [hashlib.blake2b(os.fsencode(name), digest_size=8, key=key).digest() for name in names]


def order(names: Sequence[str], classes: Sequence[Hashable] | None, seed: int) -> list[int]:
    """All indices in a drawn order, whose end is held out: the first image of every class comes first, so that some of
    each are trained on.

    Args:
        classes: of the images, None for one without; None where there are no labels.
    """
    rank = ranks(names, seed)
    drawn = sorted(range(len(names)), key=lambda i: (rank[i], i))
    if classes is None:
        return drawn
    firsts = {}
    for i in drawn:
        if classes[i] is not None:
            firsts.setdefault(classes[i], i)
    kept = set(firsts.values())
    return [i for i in drawn if i in kept] + [i for i in drawn if i not in kept]


def held_out(count: int, share: float) -> int:
    """How many of `count` images are held out: that share of them, but at least one where the share is not 0, and so few
    that a training is possible."""
    wanted = max(1, round(count * share)) if share else 0
    return max(0, min(wanted, count - LEAST_TRAINING))
