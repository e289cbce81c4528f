"""Other shapes for the same numbers; no kernel is needed."""

from __future__ import annotations

from minivae.tensor import op


@op
def reshape(needs, x, *, shape: tuple[int, ...]):
    """x with another shape, of which one size may be -1; the memory is shared.

    Raises:
        ValueError: the shape has another number of elements.
    """
    before = x.shape
    return x.reshape(shape), lambda dy, into: dy.reshape(before)
