"""Random graphs of operations (operation_graph.py), each with a given operation in it.

They are drawn by whole numbers that somebody else picks: hypothesis, which can shrink them, or a seeded generator.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from operation_graph import RULES, Graph, Step, numpys
from hypothesis import reject
from hypothesis import strategies as st

STEP = 1e-6             # of difference quotients
LEAST_MARGIN = 1e-3     # how far operands stay from kinks
MOST_ELEMENTS, LARGEST = 400, 30.0      # of a step's output
_POSITIVE = (("softplus", {}), ("add_number", {"number": 0.5, "reflected": False, "form": "operator"}))
# What operands an operation can take: whether an array is one, the kind of leaf that is, and the steps that make one of any.
DOMAINS = {
    "any": (lambda x: True, "signed", ()),
    "positive": (lambda x: x.min() >= 0.2, "positive", _POSITIVE),
    "nonzero": (lambda x: np.abs(x).min() >= 0.2, "nonzero", _POSITIVE),
    "small": (lambda x: np.abs(x).max() <= 2.5, "signed", (("tanh", {}),)),
}


class Builder:
    """Draws a graph, and computes it on the way: at the leaves' numbers and a little beside them, to tell kinks near by.

    Args:
        pick: n -> a whole number from 0 to n - 1.
    """

    def __init__(self, pick: Callable[[int], int]):
        self._pick = pick
        self.steps: list[Step] = []
        self.values: list[tuple[np.ndarray, np.ndarray]] = []      # of each node, at the leaves and beside them
        self.makers: list[int] = []                                 # the step that each node comes from
        self.live: list[int] = []                                   # nodes that a gradient goes through

    # What is drawn

    def pick(self, n: int) -> int:
        return self._pick(n) if n > 1 else 0

    def choose(self, options):
        return options[self.pick(len(options))]

    def form(self) -> str:
        """How an operation is written."""
        return self.choose(("function", "operator"))

    def axis(self, shape: tuple[int, ...]) -> int:
        """An axis, at times counted from the end."""
        return self.pick(len(shape)) - len(shape) * self.pick(2)

    def order(self, n: int) -> list[int]:
        left = list(range(n))
        return [left.pop(self.pick(len(left))) for _ in range(n)]

    def factors(self, size: int, count: int) -> tuple[int, ...]:
        """So many numbers whose product is `size`."""
        found = []
        for _ in range(count - 1):
            found.append(self.choose([n for n in range(1, size + 1) if size % n == 0]))
            size //= found[-1]
        return (*found, size) if count else ()

    def shape(self, ndim: int | None = None) -> tuple[int, ...]:
        ndim = self.choose((2, 1, 3, 0, 4)) if ndim is None else ndim
        shape = [self.choose((2, 3, 1, 4)) for _ in range(ndim)]
        if ndim in (1, 2):
            shape[-1] = self.choose((2, 3, 1, 4, 5, 33, 64))        # wide enough for packs and what is left over
        return tuple(shape)

    def broadcastable(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that goes together with another."""
        sizes = [self.choose((size, 1) if size > 1 else (1, 2, 3)) for size in shape][self.pick(len(shape) + 1):]
        return (self.choose((1, 2)), *sizes) if len(sizes) == len(shape) and self.pick(4) == 3 else tuple(sizes)

    # What is there

    def value_of(self, node: int) -> np.ndarray:
        return self.values[node][0]

    def shape_of(self, node: int) -> tuple[int, ...]:
        return self.values[node][0].shape

    def is_tensor(self, node: int) -> bool:
        return self.steps[self.makers[node]].rule != "constant"

    # Operands

    def leaf(self, kind: str, shape: tuple[int, ...]) -> int:
        step = Step("leaf", kind=kind, shape=shape, seed=self.pick(2**16))
        x = step.drawn()
        direction = np.random.default_rng(step.settings["seed"]).standard_normal(shape)
        if x.size <= MOST_ELEMENTS:         # a larger one, of many weights, has one use
            self.live.append(len(self.values))
        return self._append(step, [(x, x + 10 * STEP * direction)])[0]

    def constant(self, kind: str, shape: tuple[int, ...]) -> int:
        step = Step("constant", kind=kind, shape=shape, seed=self.pick(2**16))
        return self._append(step, [(step.drawn(),) * 2])[0]

    def _append(self, step: Step, values: list) -> list[int]:
        self.makers += [len(self.steps)] * len(values)
        self.steps.append(step)
        self.values += values
        return list(range(len(self.values) - len(values), len(self.values)))

    def node(self, domain: str = "any", ndim: int | None = None, accept: Callable = lambda shape: True,
             make: Callable | None = None) -> int:
        """A node that a gradient goes through: one that is there, often the latest, made to fit; or a new leaf.

        Args:
            domain: a key of DOMAINS.
            ndim: how many axes it must have; another node is reshaped.
            accept: whether a shape will do.
            make: the shape of a new leaf; by default any that `accept` takes.
        """
        fitting = [i for i in self.live if ndim in (None, len(self.shape_of(i))) and accept(self.shape_of(i))]
        if fitting and self.pick(8) < 7:
            return self._within(fitting[-1 - max(0, self.pick(2 * len(fitting)) - len(fitting))], domain)
        if ndim and self.live and self.pick(4) < 3:
            node = self.live[-1 - self.pick(len(self.live))]
            for _ in range(3):
                shape = self.factors(self.value_of(node).size, ndim)
                if accept(shape):
                    return self._within(self._then(node, "reshape", {"shape": shape}), domain)
        while True:
            shape = make() if make else self.shape(ndim)
            if accept(shape):
                return self.leaf(DOMAINS[domain][1], shape)

    def _within(self, node: int, domain: str) -> int:
        fits, _, steps = DOMAINS[domain]
        if not fits(self.value_of(node)):
            for rule, settings in steps:
                node = self._then(node, rule, settings)
        return node

    def _then(self, node: int, rule: str, settings: dict) -> int:
        found = self.add(Step(rule, node, **settings))
        assert found, f"{rule} of a node that it should take"
        return found[0]

    def partner(self, node: int, domain: str = "any") -> int:
        """A second operand whose shape goes together with a node's: a node, or a new leaf or constant."""
        fits, kind, _ = DOMAINS[domain]
        fitting = [i for i in self.live if _together(self.shape_of(node), self.shape_of(i)) and fits(self.value_of(i))]
        return self._either(fitting, kind, lambda: self.broadcastable(self.shape_of(node)))

    def shaped(self, shape: tuple[int, ...], kind: str = "signed") -> int:
        """An operand of a shape: a node of it, one reshaped or repeated, or a new leaf or constant."""
        fitting = [i for i in self.live if self.shape_of(i) == shape]
        if not fitting and self.pick(2):
            for i in self.live:
                if self.value_of(i).size == math.prod(shape):
                    return self._then(i, "reshape", {"shape": shape})
        return self._either(fitting, kind, lambda: shape)

    def _either(self, fitting: list[int], kind: str, shape: Callable) -> int:
        if fitting and self.pick(3) < 2:
            return self.choose(fitting[::-1])
        return (self.constant if self.pick(5) == 4 else self.leaf)(kind, shape())

    # Steps

    def add(self, step: Step) -> list[int]:
        """Append an operation; the numbers of its outputs, or none where it would be near a kink or too large."""
        rule = RULES[step.rule]
        margins = [rule.margin(*(self.values[i][beside] for i in step.inputs), **step.settings) for beside in (0, 1)]
        if margins[0] < LEAST_MARGIN or (margins[0] < math.inf and abs(margins[1] - margins[0]) > margins[0] / 2):
            return []
        outputs = [numpys(step, [value[beside] for value in self.values]) for beside in (0, 1)]
        if any(x.size > MOST_ELEMENTS or not np.abs(x).max() <= LARGEST for x in outputs[0]):
            return []
        nodes = self._append(step, list(zip(*outputs, strict=True)))
        self.live += nodes
        return nodes

    def draw(self, name: str, attempts: int = 1) -> bool:
        """Append an operation by the rule of that name; False, and nothing is left of it, where it does not go."""
        for _ in range(attempts):
            before = len(self.steps), len(self.values), len(self.live)
            inputs, settings = RULES[name].draw(self)
            if self.add(Step(name, *inputs, **settings)):
                return True
            for things, count in zip((self.steps, self.values, self.live), before, strict=True):
                del things[count:]
            del self.makers[len(self.values):]
        return False

    def graph(self) -> Graph:
        """What there is by now. Its ends are all nodes that nothing uses; of a step's outputs some may be left out."""
        used, ends = {i for step in self.steps for i in step.inputs}, []
        for node in self.live:
            if node not in used and self.steps[self.makers[node]].is_operation:
                beside = [i for i in ends if self.makers[i] == self.makers[node]]
                if not beside or self.pick(3):
                    ends.append(node)
        return Graph(tuple(self.steps), tuple(ends))


def _together(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(a[::-1], b[::-1], strict=False))


def build(name: str, pick: Callable[[int], int], most: int = 6) -> Graph | None:
    """A random graph with an operation by the rule of that name somewhere in it; None where the numbers led nowhere.

    Args:
        pick: see Builder.
        most: how many operations to draw, at least 2 of them; those that an operand had to be made fit with may come on top.
            1: that operation alone.
    """
    b = Builder(pick)
    count = min(most, 2 + b.pick(most - 1)) if most > 1 else 1
    before = b.pick(count)
    names = list(RULES)

    def draw_until(operations: int) -> None:
        for _ in range(3 * operations):
            if sum(step.is_operation for step in b.steps) >= operations:
                break
            b.draw(b.choose(names))

    draw_until(before)
    if not b.draw(name, attempts=5):
        return None
    draw_until(count)
    return b.graph()


_below = functools.lru_cache(maxsize=None)(lambda n: st.integers(0, n - 1))


@st.composite
def graphs(draw, name: str) -> Graph:
    """Hypothesis's strategy for graphs with an operation by the rule of that name."""
    graph = build(name, lambda n: draw(_below(n)))
    return reject() if graph is None else graph


def seeded_graphs(name: str, count: int, most: int = 6) -> list[Graph]:
    """Graphs that a seeded generator picks, at most so many: see build."""
    found = []
    for number in range(count):
        rng = np.random.default_rng([number, *name.encode()])
        found.append(build(name, lambda n, rng=rng: int(rng.integers(n)), most))
    return [graph for graph in found if graph is not None]
