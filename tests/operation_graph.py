"""Small graphs of operations, which ours and plain NumPy compute from one description.

A graph is a list of steps, each of which names a rule (graph_rules.py), the numbers of its operands and its settings. It
prints as Python text that makes it again, so that a failing example can be read and run:

    Graph((
        Step('leaf', kind='signed', shape=(3, 1), seed=7),      # 0: (3, 1)
        Step('sigmoid', 0),                                     # 1: (3, 1)
        Step('add', 0, 1, form='operator'),                     # 2: (3, 1)
    ), ends=(2,))
"""

from __future__ import annotations

import functools
import math

import numpy as np
from graph_rules import ELEMENTWISE
from graph_rules_layers import LAYERS
from graph_rules_shapes import SHAPES

from minivae import ops
from minivae.device import Device
from minivae.tensor import Tensor

RULES = {**ELEMENTWISE, **SHAPES, **LAYERS}
KINDS = {
    "signed": lambda rng, shape: rng.uniform(-2, 2, shape),
    "little": lambda rng, shape: rng.uniform(-0.3, 0.3, shape),
    "positive": lambda rng, shape: rng.uniform(0.5, 2, shape),
    "nonzero": lambda rng, shape: rng.uniform(0.5, 2, shape) * rng.choice([-1.0, 1.0], shape),
    "unit": lambda rng, shape: rng.random(shape),
    "mask": lambda rng, shape: rng.random(shape) < 0.5,
}


class Step:
    """A leaf (which gets a gradient), a constant (which is an array and gets none), or an operation."""

    def __init__(self, rule: str, *inputs: int, **settings):
        self.rule, self.inputs, self.settings = rule, inputs, settings

    def __repr__(self) -> str:
        words = [repr(self.rule), *map(str, self.inputs), *(f"{k}={v!r}" for k, v in self.settings.items())]
        return f"Step({', '.join(words)})"

    @property
    def is_operation(self) -> bool:
        return self.rule not in ("leaf", "constant")

    def drawn(self) -> np.ndarray:
        """A leaf's or constant's numbers."""
        s = self.settings
        return np.asarray(KINDS[s["kind"]](np.random.default_rng(s["seed"]), s["shape"]))


class Graph:
    """Steps, and the numbers of the nodes that the cost is made of; a step's outputs are numbered in order."""

    def __init__(self, steps: tuple[Step, ...], ends: tuple[int, ...]):
        self.steps, self.ends = steps, ends

    def __repr__(self) -> str:
        lines, nodes = [], self.in_numpy(self.leaves())
        numbers = iter(range(len(nodes)))
        for step, outputs in zip(self.steps, self.outputs(nodes), strict=True):
            shapes = [f"{next(numbers)}: {x.shape}" for x in outputs]
            lines.append(f"    {str(step) + ',':<88} # {', '.join(shapes)}")
        return "\n".join(["Graph((", *lines, f"), ends={self.ends})"])

    def outputs(self, nodes: list) -> list[list]:
        """The nodes of each step, given all of them in order."""
        found, rest = [], iter(nodes)
        for step in self.steps:
            found.append([next(rest) for _ in range(_count(step))])
        return found

    def uses(self) -> list[int]:
        """How often each node is an operand."""
        inputs = [i for step in self.steps for i in step.inputs]
        return [inputs.count(i) for i in range(sum(map(_count, self.steps)))]

    @property
    def operations(self) -> list[Step]:
        return [step for step in self.steps if step.is_operation]

    def leaves(self) -> list[np.ndarray]:
        return [step.drawn() for step in self.steps if step.rule == "leaf"]

    def in_numpy(self, leaves: list[np.ndarray]) -> list[np.ndarray]:
        """All nodes, with these numbers in the leaves."""
        nodes, rest = [], iter(leaves)
        for step in self.steps:
            if step.rule == "leaf":
                nodes.append(next(rest))
            else:
                nodes += [step.drawn()] if step.rule == "constant" else numpys(step, nodes)
        return nodes

    def in_ours(self, leaves: list[Tensor], device: Device) -> list:
        """The same on a device."""
        nodes, rest = [], iter(leaves)
        for step in self.steps:
            if step.rule == "leaf":
                nodes.append(next(rest))
            elif step.rule == "constant":
                nodes.append(device.from_host(step.drawn()))
            else:
                y = RULES[step.rule].ours(*(nodes[i] for i in step.inputs), **step.settings)
                nodes += y if isinstance(y, tuple) else (y,)
        return nodes

    def weights(self, nodes: list) -> list[np.ndarray]:
        """What the ends' elements count for in the cost."""
        rng = np.random.default_rng(len(nodes))
        shapes = [nodes[i].shape for i in self.ends]
        return [np.asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape)) for shape in shapes]

    def cost_in_numpy(self, leaves: list[np.ndarray]) -> float:
        nodes = self.in_numpy(leaves)
        return math.fsum(float((w * nodes[i]).sum()) for w, i in zip(self.weights(nodes), self.ends, strict=True))

    def outcome_of(self, nodes: list) -> Tensor:
        """All elements of the ends, of nodes that are ours."""
        return ops.concatenate([ops.reshape(nodes[i], -1) for i in self.ends])

    def cost_of(self, nodes: list, device: Device) -> Tensor:
        """Of nodes that are ours."""
        parts = [ops.sum(nodes[i] * device.from_host(w)) for w, i in zip(self.weights(nodes), self.ends, strict=True)]
        return functools.reduce(ops.add, parts)


def numpys(step: Step, nodes: list[np.ndarray]) -> list[np.ndarray]:
    """The outputs of an operation in NumPy."""
    y = RULES[step.rule].numpys(*(nodes[i] for i in step.inputs), **step.settings)
    return [np.asarray(part) for part in (y if isinstance(y, (tuple, list)) else (y,))]


def _count(step: Step) -> int:
    """How many nodes a step makes."""
    if step.rule == "reparameterize":
        return 2
    if step.rule == "split":
        sections = step.settings["sections"]
        return sections if isinstance(sections, int) else len(sections) + 1
    return 1
