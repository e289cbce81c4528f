"""How many bytes a kernel moves between memory and the processor, as the line above it in its source says.

    // moves: 1 x, partial[2 * slabs * cols], gamma -> 1 y, moments

names the arrays that it reads and those that it writes, each once: what is looked at again comes from a cache. An array
is moved whole, or in brackets stands how many of its elements are, as a product of numbers and of the kernel's
scalars. A number before a name says how many of the array's elements belong to one element of the work, at the sizes
that the built-in models use; 0 that a training step does not touch it; no number that it is small beside the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from minivae.arguments import SCALARS
from minivae.kernels import REAL_NAMES
from minivae.sources import signature_of, source_of
from minivae.trace import Extent

MOVES = re.compile(r'^// moves: ?(.*?) ?-> (.*)\nextern "C" __global__ void (\w+)\(', re.MULTILINE)
TERM = re.compile(r"(?:(\d+(?:/\d+)?) )?(\w+)(?:\[([\w *]+)\])?$")


class Term(NamedTuple):
    """One array on a `moves` line.

    Attributes:
        share: how many of its elements belong to one element of the work; None where the array is small.
        name: of the kernel's parameter.
        factors: numbers and names of scalars whose product is how many elements are moved; empty for all.
    """

    share: Fraction | None
    name: str
    factors: tuple[str, ...]


class Moves(NamedTuple):
    """What one launch of a kernel reads and writes."""

    reads: tuple[Term, ...]
    writes: tuple[Term, ...]

    @property
    def words(self) -> str:
        """The same as a line of text, without small arrays."""
        return " -> ".join(", ".join(f"{term.share} {term.name}" for term in terms if term.share is not None)
                           for terms in self)


@cache
def moves(kernel: str) -> Moves:
    """What the source says of a kernel.

    Raises:
        KeyError: no such kernel.
        ValueError: the line above it is missing or names what is no parameter of it.
    """
    return read_moves(kernel, source_of(kernel), [p.name for p in signature_of(kernel)])


def read_moves(kernel: str, source: str, parameters: Sequence[str]) -> Moves:
    """The `moves` line above a kernel with those parameters in a source.

    Raises:
        ValueError: see moves().
    """
    lines = [match for match in MOVES.finditer(source) if match[3] == kernel]
    if not lines:
        raise ValueError(f"kernel {kernel}: the line above it does not say '// moves: reads -> writes'")
    found = Moves(*(tuple(_term(kernel, text.strip(), parameters) for text in side.split(",") if text.strip())
                    for side in lines[0].groups()[:2]))
    if not found.writes:
        raise ValueError(f"kernel {kernel}: its moves line names nothing that is written")
    return found


def _term(kernel: str, text: str, parameters: Sequence[str]) -> Term:
    match = TERM.match(text)
    if match is None:
        raise ValueError(f"kernel {kernel}: cannot read '{text}' on its moves line; terms are like x, 1/4 x or x[2 * cols]")
    factors = tuple(factor.strip() for factor in (match[3] or "").split("*") if factor.strip())
    unknown = {match[2], *(factor for factor in factors if not factor.isdigit())} - set(parameters)
    if unknown:
        raise ValueError(f"kernel {kernel}: its moves line names {', '.join(sorted(unknown))}, no parameter of it")
    return Term(Fraction(match[1]) if match[1] else None, match[2], factors)


def bytes_of(kernel: str, arguments: Sequence[Extent | float]) -> tuple[int, int]:
    """(bytes read, bytes written) by a launch with those arguments, in the order of the kernel's parameters."""
    given = dict(zip((p.name for p in signature_of(kernel)), arguments, strict=True))

    def moved(term: Term) -> int:
        if term.share == 0:
            return 0
        if not term.factors:
            return given[term.name].bytes
        return given[term.name].itemsize * math.prod(
            int(factor) if factor.isdigit() else int(given[factor]) for factor in term.factors)

    found = moves(kernel)
    return sum(map(moved, found.reads)), sum(map(moved, found.writes))


def bytes_per_element(kernel: str, dtype) -> float:
    """Bytes read and written for one element of the work, small arrays apart."""
    real = REAL_NAMES[np.dtype(dtype)]
    sizes = {p.name: np.dtype(SCALARS[real if p.ctype == "real" else p.ctype].numpy).itemsize for p in signature_of(kernel)}
    return float(sum(term.share * sizes[term.name] for terms in moves(kernel) for term in terms if term.share is not None))
