"""Which noise the layers of a training step draw.

Noise is named, not stored: by a seed, a step and the number of an example in the data set. So a run that is started anew at
a step, or that is spread over several processes or other batches, draws what it would have drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minivae.errors import MinivaeError
from minivae.ops.reparameterize import Noise


class _Draws:
    """The draws within one noise(): all of that name, told apart by their number."""

    def __init__(self, name: Noise, example):
        self.name, self.example, self.count = name, example, 0


_current: _Draws | None = None


@contextmanager
def noise(seed: int, step: int, example=None) -> Iterator[None]:
    """Within this context layers that draw noise in training, such as Dropout, draw that of this name.

    The same name gives the same noise on every device. Each layer that draws gets its own, by the order in which they do:
    let a context hold one forward pass.

    Args:
        seed: the run's, 0 <= seed < 2^64.
        step: the number of the step, 0 <= step < 2^32.
        example: (rows,), each row's number in the data set, as ops.dropout takes it; by default its number in the batch.
    """
    global _current
    before, _current = _current, _Draws(Noise(seed, step), example)
    try:
        yield
    finally:
        _current = before


def next_draw() -> tuple[Noise, object, int]:
    """(name, examples, number of the draw) for a layer that draws now.

    Raises:
        MinivaeError: outside of noise().
    """
    if _current is None:
        raise MinivaeError("dropout in training draws noise, and nobody said which: make the forward pass within "
                           "'with nn.noise(seed, step):', or call eval() on the model")
    _current.count += 1
    return _current.name, _current.example, _current.count - 1
