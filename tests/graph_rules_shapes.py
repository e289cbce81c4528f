"""The random graphs' rules (see graph_rules.py) for reductions, other shapes, and numbers chosen by their index."""

from __future__ import annotations

import math

import numpy as np
from graph_rules import Rule, gap

from minivae import ops

SHAPES: dict[str, Rule] = {}

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
    SHAPES[_name] = Rule(_name, getattr(ops, _name), _numpys, _draw_reduction)
SHAPES["max"] = SHAPES["max"]._replace(margin=lambda x, axis, keepdims: gap(rows_over(x, axis)))
SHAPES["var"] = Rule("var", ops.var, np.var, _draw_var)


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


SHAPES["reshape"] = Rule("reshape", ops.reshape, lambda x, shape: x.reshape(shape), _draw_reshape)
SHAPES["transpose"] = Rule("transpose", _transpose, lambda x, axes: x.transpose(None if isinstance(axes, str) else axes),
                          _draw_transpose)
SHAPES["broadcast_to"] = Rule("broadcast_to", ops.broadcast_to, np.broadcast_to, _draw_broadcast_to)
SHAPES["concatenate"] = Rule("concatenate", lambda *xs, axis: ops.concatenate(xs, axis),
                            lambda *xs, axis: np.concatenate(xs, axis), _draw_concatenate)
SHAPES["stack"] = Rule("stack", lambda *xs, axis: ops.stack(xs, axis), lambda *xs, axis: np.stack(xs, axis), _draw_stack)
SHAPES["split"] = Rule("split", ops.split, lambda x, sections, axis: np.split(x, sections, axis), _draw_split)
SHAPES["pad"] = Rule("pad", ops.pad, lambda x, widths, value: np.pad(x, widths, constant_values=value), _draw_pad)


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


SHAPES["take"] = Rule("take", ops.take, lambda x, index, axis: np.take(x, index, axis), _draw_take)
SHAPES["embedding"] = Rule("embedding", ops.embedding, lambda table, labels: table[np.asarray(labels)], _draw_embedding)
SHAPES["index"] = Rule("index", lambda x, key: x[key], lambda x, key: x[_numpy_key(key)], _draw_index)
