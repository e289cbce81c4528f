"""One rule an operation for the random graphs (random_graphs.py): ours, the same in plain NumPy, how to draw operands that it
can take, and how far they are from a place where it has no derivative.

A rule's `draw` gets the Builder and returns the operands' numbers and the settings, which are plain Python values so that a
graph can be read and written.
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


RULES: dict[str, Rule] = {}


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
    RULES[name] = Rule(name, getattr(ops, name), numpys, lambda b: ((b.node(domain),), settings(b)), **smooth)


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
RULES["negative"] = Rule("negative", lambda x, form: -x if form == "operator" else ops.negative(x), lambda x, form: -x,
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
        form = b.form() if symbol and (first or b.is_tensor(y)) else "function"     # an array's own operator does not know us
        return (x, y) if first else (y, x), {"form": form}

    RULES[name] = Rule(name, apply, lambda a, b, form: numpys(a, b), draw, lambda a, b, form: margin(a, b))

    def apply_number(x, number, form, reflected):
        return apply(*((number, x) if reflected else (x, number)), form=form)

    def draw_number(b):
        reflected = b.pick(2) == 1
        numbers = [n for n in NUMBERS if n > 0] if reflected and left == "positive" else NUMBERS
        return (b.node(right if reflected else left),), {"number": b.choose(numbers), "reflected": reflected,
                                                          "form": b.form() if symbol else "function"}

    RULES[f"{name}_number"] = Rule(
        name, apply_number, lambda x, number, form, reflected: numpys(*((number, x) if reflected else (x, number))), draw_number,
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


RULES["where"] = Rule("where", ops.where, np.where, _draw_where)
RULES["where_number"] = Rule(
    "where", lambda mask, x, number, first: ops.where(mask, *((number, x) if first else (x, number))),
    lambda mask, x, number, first: np.where(mask, *((number, x) if first else (x, number))), _draw_where_number)


# Reductions

def _axes(b, shape: tuple[int, ...]):
    """None, an axis, or a tuple of axes, some counted from the end."""
    way = b.pick(3)
    if way == 0 or not shape:
        return None
    if way == 1:
        return b.axis(shape)
    return tuple(i - len(shape) * b.pick(2) for i in range(len(shape)) if b.pick(2))


def _draw_reduction(b):
    x = b.node()
    return (x,), {"axis": _axes(b, b.shape_of(x)), "keepdims": b.pick(2) == 1}


def rows_over(x: np.ndarray, axis) -> np.ndarray:
    """x as a matrix whose rows are what a reduction over those axes takes together."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = [a % x.ndim for a in axes]
    kept = [a for a in range(x.ndim) if a not in axes]
    return x.transpose(*kept, *axes).reshape(math.prod(x.shape[a] for a in kept), -1)


def _draw_var(b):
    inputs, settings = _draw_reduction(b)
    reduced = rows_over(b.value_of(inputs[0]), settings["axis"]).shape[1]
    return inputs, {**settings, "ddof": b.pick(2) if reduced > 1 else 0}


for _name, _numpys in (("sum", np.sum), ("mean", np.mean), ("max", np.max),
                       ("logsumexp", lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)))):
    RULES[_name] = Rule(_name, getattr(ops, _name), _numpys, _draw_reduction)
RULES["max"] = RULES["max"]._replace(margin=lambda x, axis, keepdims: gap(rows_over(x, axis)))
RULES["var"] = Rule("var", ops.var, np.var, _draw_var)


# Other shapes

def _draw_reshape(b):
    x = b.node()
    shape = list(b.factors(b.value_of(x).size, b.pick(5) if b.value_of(x).size == 1 else 1 + b.pick(4)))
    if shape and b.pick(3) == 0:
        shape[b.pick(len(shape))] = -1
    return (x,), {"shape": tuple(shape)}


def _draw_transpose(b):
    x = b.node()
    ndim, way = len(b.shape_of(x)), b.pick(3)
    if way < 2:
        return (x,), {"axes": ("default", "T")[way]}
    return (x,), {"axes": tuple(a - ndim * b.pick(2) for a in b.order(ndim))}


def _transpose(x, axes):
    return x.T if axes == "T" else ops.transpose(x) if axes == "default" else ops.transpose(x, axes)


def _draw_broadcast_to(b):
    x = b.node()
    shape = tuple(b.choose((2, 3, 1)) if size == 1 else size for size in b.shape_of(x))
    return (x,), {"shape": tuple(b.choose((2, 1, 3)) for _ in range(b.pick(3))) + shape}


def _draw_concatenate(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    shape = b.shape_of(x)
    axis = b.axis(shape)
    at, inputs = axis % len(shape), [x]
    for _ in range(1 + b.pick(2)):
        other = (*shape[:at], b.choose((shape[at], 1, 2)), *shape[at + 1:])
        inputs.insert(b.pick(2) * len(inputs), b.shaped(other))
    return inputs, {"axis": axis}


def _draw_stack(b):
    x = b.node()
    shape = b.shape_of(x)
    inputs = [x, *(b.shaped(shape) for _ in range(b.pick(3)))]
    return inputs, {"axis": b.pick(len(shape) + 1) - b.pick(2) * (len(shape) + 1)}


def _draw_split(b):
    x = b.node(accept=lambda shape: max(shape, default=0) > 1)
    shape = b.shape_of(x)
    axis = b.choose([a for a, size in enumerate(shape) if size > 1])
    size = shape[axis]
    cuts = [b.choose([n for n in range(2, size + 1) if size % n == 0]), sorted({1 + b.pick(size - 1) for _ in range(2)})]
    return (x,), {"sections": cuts[b.pick(2)], "axis": axis - len(shape) * b.pick(2)}


def _draw_pad(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    widths = b.pick(3) if b.pick(3) == 0 else [(b.pick(3), b.pick(3)) for _ in b.shape_of(x)]
    return (x,), {"widths": widths, "value": b.choose((0.0, 1.5, -2.0))}


RULES["reshape"] = Rule("reshape", ops.reshape, lambda x, shape: x.reshape(shape), _draw_reshape)
RULES["transpose"] = Rule("transpose", _transpose, lambda x, axes: x.transpose(None if isinstance(axes, str) else axes),
                          _draw_transpose)
RULES["broadcast_to"] = Rule("broadcast_to", ops.broadcast_to, np.broadcast_to, _draw_broadcast_to)
RULES["concatenate"] = Rule("concatenate", lambda *xs, axis: ops.concatenate([tensor(x) for x in xs], axis),
                            lambda *xs, axis: np.concatenate(xs, axis), _draw_concatenate)
RULES["stack"] = Rule("stack", lambda *xs, axis: ops.stack([tensor(x) for x in xs], axis), lambda *xs, axis: np.stack(xs, axis),
                      _draw_stack)
RULES["split"] = Rule("split", ops.split, lambda x, sections, axis: np.split(x, sections, axis), _draw_split)
RULES["pad"] = Rule("pad", ops.pad, lambda x, widths, value: np.pad(x, widths, constant_values=value), _draw_pad)


def tensor(x):
    return x if isinstance(x, Tensor) else Tensor(x)


# Numbers chosen by their index

def _draw_numbers(b, size: int):
    """A list of places along an axis, with repeats and some from the end; at times of two dimensions."""
    def row(count):
        return [b.pick(size) - size * b.pick(2) for _ in range(count)]

    count = 1 + b.pick(4)
    return [row(count) for _ in range(2)] if b.pick(4) == 0 else row(count)


def _draw_take(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    axis = b.axis(b.shape_of(x))
    return (x,), {"index": _draw_numbers(b, b.shape_of(x)[axis]), "axis": axis}


def _draw_embedding(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    return (x,), {"labels": _draw_numbers(b, b.shape_of(x)[0])}


def _draw_index(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    shape, key = b.shape_of(x), []
    arrays = b.pick(2) == 0
    at, count = b.pick(len(shape)), 1 + b.pick(4)
    together = 1 + (arrays and at + 1 < len(shape) and b.pick(2))
    for axis, size in enumerate(shape):
        if arrays and at <= axis < at + together:
            key.append([b.pick(size) - size * b.pick(2) for _ in range(count)])
        elif not arrays and b.pick(3) == 0:
            key.append(b.pick(size) - size * b.pick(2))
        else:
            start = b.pick(size)
            key.append(b.choose((slice(None), slice(start, None), slice(None, start + 1), slice(None, None, -1),
                                 slice(start, None, 2), slice(None, start, -1) if start + 1 < size else slice(-1, None))))
    if not arrays or at > 0:        # a new axis in front: of a key of arrays only where it does not stand between them
        key = [None] * (b.pick(4) == 0) + key
    if b.pick(4) == 0 and isinstance(key[-1], slice):
        key[-1] = Ellipsis
    return (x,), {"key": tuple(key)}


def _numpy_key(key: tuple) -> tuple:
    return tuple(np.asarray(k) if isinstance(k, list) else k for k in key)


RULES["take"] = Rule("take", ops.take, lambda x, index, axis: np.take(x, index, axis), _draw_take)
RULES["embedding"] = Rule("embedding", ops.embedding, lambda table, labels: table[np.asarray(labels)], _draw_embedding)
RULES["index"] = Rule("index", lambda x, key: x[key], lambda x, key: x[_numpy_key(key)], _draw_index)
