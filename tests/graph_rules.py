"""What the random graphs (operation_graph.py) know of an operation, a rule for each: ours, the same in plain NumPy, how to
draw operands that it can take, and how far they are from a place where it has no derivative. Here those of one and two
numbers.

A rule's `draw` gets the Builder of random_graphs.py and returns the operands' numbers and the settings, which are plain
Python values so that a graph can be read and written.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minivae import ops
from minivae.device import device_of
from minivae.tensor import Tensor

NUMBERS = (1.5, 0.5, 2.0, -0.75, 3.0, -2.0, 1.0)
erf = np.vectorize(math.erf, otypes=[np.float64])


class Rule(NamedTuple):
    """How the graphs use an operation.

    Attributes:
        op: its name in minivae.ops.
        ours: (*Tensors or device arrays, **settings) -> a Tensor or a tuple of them.
        numpys: the same for NumPy arrays.
        draw: Builder -> (operands, settings).
        margin: (*NumPy arrays, **settings) -> how far the operands are from a kink, or from where a difference quotient is
            too coarse; infinite where the operation is smooth.
    """

    op: str
    ours: Callable
    numpys: Callable
    draw: Callable
    margin: Callable = lambda *arrays, **settings: math.inf


ELEMENTWISE: dict[str, Rule] = {}


def on_device(like, array: np.ndarray):
    """A host array on the device of a Tensor or an array."""
    return device_of(like.data if isinstance(like, Tensor) else like).from_host(array)


def gap(rows: np.ndarray) -> float:
    """The least distance between the largest and the second largest number of a row (rows, numbers)."""
    if rows.shape[1] < 2:
        return math.inf
    top = np.sort(rows, axis=1)[:, -2:]
    return float((top[:, 1] - top[:, 0]).min())


def near(*points: float) -> Callable:
    """The margin of a function of one number with kinks at those points."""
    return lambda x, **_: float(min(np.abs(x - p).min() for p in points))


# Functions of one number

def _unary(name: str, numpys: Callable, domain: str = "any", margin: Callable | None = None,
           settings: Callable = lambda b: {}) -> None:
    smooth = {} if margin is None else {"margin": margin}
    ELEMENTWISE[name] = Rule(name, getattr(ops, name), numpys, lambda b: ((b.node(domain),), settings(b)), **smooth)


_unary("exp", np.exp, "small")
_unary("log", np.log, "positive")
_unary("sqrt", np.sqrt, "positive")
_unary("tanh", np.tanh)
_unary("sigmoid", lambda x: 1 / (1 + np.exp(-x)))
_unary("softplus", lambda x: np.logaddexp(0, x))
_unary("gelu", lambda x: x * (1 + erf(x / math.sqrt(2))) / 2)
_unary("abs", np.abs, margin=near(0))
_unary("relu", lambda x: np.maximum(x, 0), margin=near(0))
_unary("leaky_relu", lambda x, slope: np.where(x < 0, slope * x, x), margin=near(0),
       settings=lambda b: {"slope": b.choose((0.01, 0.3, -0.5))})
_unary("elu", lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x), margin=near(0),
       settings=lambda b: {"alpha": b.choose((1.0, 0.5, 2.0))})
_unary("hard_tanh", lambda x: np.clip(x, -1, 1), margin=near(-1, 1))
_unary("clip", lambda x, low, high: np.clip(x, low, high), margin=lambda x, low, high: near(low, high)(x),
       settings=lambda b: {"low": b.choose((-1.0, -0.5, 0.25)), "high": b.choose((0.5, 1.0, 1.5))})
ELEMENTWISE["negative"] = Rule("negative", lambda x, form: -x if form == "operator" else ops.negative(x), lambda x, form: -x,
                         lambda b: ((b.node(),), {"form": b.form()}))


# Functions of two, each also with a Python number on either side

def _binary(name: str, symbol: Callable | None, numpys: Callable, left: str = "any", right: str = "any",
            margin: Callable = lambda a, b: math.inf) -> None:
    def apply(a, b, form):
        return symbol(a, b) if form == "operator" else getattr(ops, name)(a, b)

    def draw(b):
        first = b.pick(2) == 0
        x = b.node(left if first else right)
        y = b.partner(x, right if first else left)
        form = b.form() if symbol and (first or b.is_tensor(y)) else "function"     # an array's operator does not know us
        return (x, y) if first else (y, x), {"form": form}

    ELEMENTWISE[name] = Rule(name, apply, lambda a, b, form: numpys(a, b), draw, lambda a, b, form: margin(a, b))

    def with_number(function):
        return lambda x, number, reflected, **form: function(*((number, x) if reflected else (x, number)), **form)

    def draw_number(b):
        reflected = b.pick(2) == 1
        numbers = [n for n in NUMBERS if n > 0] if reflected and left == "positive" else NUMBERS
        return (b.node(right if reflected else left),), {"number": b.choose(numbers), "reflected": reflected,
                                                          "form": b.form() if symbol else "function"}

    ELEMENTWISE[f"{name}_number"] = Rule(
        name, with_number(apply), with_number(lambda a, b, form: numpys(a, b)), draw_number,
        lambda x, number, form, reflected: margin(x, number))


def _apart(a, b) -> float:
    return float(np.abs(a - b).min())


_binary("add", operator.add, np.add)
_binary("subtract", operator.sub, np.subtract)
_binary("multiply", operator.mul, np.multiply)
_binary("divide", operator.truediv, np.divide, right="nonzero")
_binary("power", operator.pow, np.power, left="positive", right="small")
_binary("maximum", None, np.maximum, margin=_apart)
_binary("minimum", None, np.minimum, margin=_apart)


def _draw_where(b):
    x = b.node()
    y = b.partner(x)
    mask = b.constant("mask", b.broadcastable(np.broadcast_shapes(b.shape_of(x), b.shape_of(y))))
    return (mask, *((x, y) if b.pick(2) else (y, x))), {}


def _draw_where_number(b):
    x = b.node()
    return (b.constant("mask", b.broadcastable(b.shape_of(x))), x), {"number": b.choose(NUMBERS), "first": b.pick(2) == 1}


ELEMENTWISE["where"] = Rule("where", ops.where, np.where, _draw_where)
ELEMENTWISE["where_number"] = Rule(
    "where", lambda mask, x, number, first: ops.where(mask, *((number, x) if first else (x, number))),
    lambda mask, x, number, first: np.where(mask, *((number, x) if first else (x, number))), _draw_where_number)
