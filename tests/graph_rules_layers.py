"""The random graphs' rules (see graph_rules.py) for products, softmax, images, normalization, noise and costs."""

from __future__ import annotations

import math
import operator

import numpy as np
from convolutions import reference, reference_transpose
from graph_rules import Rule, gap, near, on_device
from test_batch_norm import FUNCTIONS
from test_batch_norm import reference as batch_norm
from test_loss import COSTS
from test_philox import philox
from test_pool import windows
from test_reparameterize import reference as reparameterize
from test_softmax import log_softmax

from minivae import ops
from minivae.device import cpu
from minivae.ops.dropout import STREAMS
from minivae.ops.reparameterize import Noise, standard_normal

LAYERS: dict[str, Rule] = {}


# Products

def _draw_matmul(b):
    if b.pick(2):
        x = b.node(accept=lambda shape: len(shape) > 0)
        shape = b.shape_of(x)
        other = b.choose(((), (b.choose((1, 2, 3)),)))
        y = b.shaped((*(_batch(b, shape) if other else ()), shape[-1], *other))
        inputs = x, y
    else:
        y = b.node(accept=lambda shape: len(shape) > 0)
        shape = b.shape_of(y)
        other = b.choose(((), (b.choose((1, 2, 3)),)))
        x = b.shaped((*(_batch(b, shape) if other else ()), *other, shape[-2:][0]))
        inputs = x, y
    return inputs, {"form": b.form() if b.is_tensor(inputs[0]) else "function"}


def _batch(b, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes in front of a matrix that go together with those of a factor of that shape."""
    return b.choose(((), b.broadcastable(shape[:-2]), (2,) if len(shape) < 3 else shape[:-2]))


def _draw_linear(b):
    x = b.node(ndim=2)
    return (x, b.shaped((b.shape_of(x)[1], b.choose((1, 2, 3, 5))))), {}


LAYERS["matmul"] = Rule("matmul", lambda x, y, form: (operator.matmul if form == "operator" else ops.matmul)(x, y),
                       lambda x, y, form: x @ y, _draw_matmul)
LAYERS["linear"] = Rule("linear", ops.linear, np.matmul, _draw_linear)


# Softmax and costs

def _draw_softmax(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    return (x,), {"axis": b.axis(b.shape_of(x))}


def _draw_labels(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    *shape, classes = b.shape_of(x)
    labels = np.array([b.pick(classes) for _ in range(math.prod(shape))], int)
    return (x,), {"labels": labels.reshape(shape).tolist()}


def _draw_probabilities(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    return (x, b.constant("unit", b.shape_of(x))), {}


def _draw_cost(b):
    x = b.node(ndim=2)
    return (x, b.constant("unit", b.shape_of(x))), {}


LAYERS["softmax"] = Rule("softmax", ops.softmax, lambda x, axis: np.exp(log_softmax(x, axis)), _draw_softmax)
LAYERS["log_softmax"] = Rule("log_softmax", ops.log_softmax, log_softmax, _draw_softmax)
LAYERS["cross_entropy_labels"] = Rule(
    "cross_entropy", lambda x, labels: ops.cross_entropy(x, labels),
    lambda x, labels: -np.take_along_axis(log_softmax(x), np.asarray(labels)[..., None], -1)[..., 0], _draw_labels)
LAYERS["cross_entropy"] = Rule("cross_entropy", ops.cross_entropy, lambda x, p: -(p * log_softmax(x)).sum(-1),
                               _draw_probabilities)
for _name, _cost in COSTS.items():
    LAYERS[_name] = Rule(_name, getattr(ops, _name), lambda y, x, cost=_cost: cost(y, x).sum(1), _draw_cost)


# Images

def _images(b, multiple: int = 1) -> int:
    """A node of images whose sides are multiples of a number."""
    def make():
        sides = [multiple * b.choose((2, 1, 3) if multiple < 3 else (1,)) for _ in range(2)]
        return (b.choose((1, 2)), *sides, b.choose((1, 2, 3)))

    return b.node(ndim=4, accept=lambda shape: shape[1] % multiple == 0 and shape[2] % multiple == 0, make=make)


def _draw_conv2d(b):
    if b.pick(6) == 0:       # enough channels for minimal filtering
        x, kernel, outputs, stride, pad = b.leaf("signed", (1, 4, 4, 16)), (3, 3), 16, 1, 1
    else:
        x, outputs, stride, pad = _images(b), b.choose((1, 2, 3)), b.choose((1, 2)), b.choose((0, 1, 2))
        kernel = tuple(1 + b.pick(min(3, size + 2 * pad)) for size in b.shape_of(x)[1:3])
    return (x, b.shaped((*kernel, b.shape_of(x)[3], outputs), "little")), {"stride": stride, "pad": pad}


def _draw_conv2d_transpose(b):
    x, outputs, stride, pad = _images(b), b.choose((1, 2, 3)), b.choose((1, 2, 3)), b.choose((0, 1))
    kernel = tuple(1 + b.pick(3) for _ in range(2))
    sides = b.shape_of(x)[1:3]
    out = tuple(max(1, (size - 1) * stride + k - 2 * pad) + b.pick(3) for size, k in zip(sides, kernel, strict=True))
    least = tuple((size - 1) * stride + k - 2 * pad for size, k in zip(sides, kernel, strict=True))
    w = b.shaped((*kernel, b.shape_of(x)[3], outputs), "little")
    return (x, w), {"stride": stride, "pad": pad, "out_shape": None if min(least) > 0 and b.pick(2) == 0 else out}


def _conv2d_transpose(x, w, stride, pad, out_shape):
    if out_shape is None:
        out_shape = tuple((size - 1) * stride + k - 2 * pad for size, k in zip(x.shape[1:3], w.shape[:2], strict=True))
    return reference_transpose(x, w, stride, pad, out_shape)


def _draw_pool(b):
    size = b.choose((2, 1, 3))
    return (_images(b, size),), {"size": size}


def _draw_upsample(b):
    return (_images(b),), {"size": b.choose((2, 1, 3))}


def _upsample(x, size):
    y = np.zeros((x.shape[0], x.shape[1] * size, x.shape[2] * size, x.shape[3]))
    y[:, ::size, ::size] = x
    return y


def _window_gap(x, size) -> float:
    found = windows(x, size)
    return gap(found.transpose(0, 1, 2, 4, 3).reshape(-1, size * size))


LAYERS["conv2d"] = Rule("conv2d", ops.conv2d, reference, _draw_conv2d)
LAYERS["conv2d_transpose"] = Rule("conv2d_transpose", ops.conv2d_transpose, _conv2d_transpose, _draw_conv2d_transpose)
LAYERS["max_pool2d"] = Rule("max_pool2d", ops.max_pool2d, lambda x, size: windows(x, size).max(3), _draw_pool, _window_gap)
LAYERS["average_pool2d"] = Rule("average_pool2d", ops.average_pool2d, lambda x, size: windows(x, size).mean(3), _draw_pool)
LAYERS["upsample2d"] = Rule("upsample2d", ops.upsample2d, _upsample, _draw_upsample)


# Normalization

KINKS = {"relu": near(0), "hard_tanh": near(-1, 1)}
LEAST_VARIANCE = 0.05       # below it the normalization is too steep for difference quotients


def _batch_norm(x, gamma, beta, fixed=None, *, activation="identity"):
    return batch_norm(x.reshape(-1, x.shape[-1]), gamma, beta, activation, fixed).reshape(x.shape)


def _batch_norm_pool(x, gamma, beta, fixed=None, *, activation, size):
    return windows(_batch_norm(x, gamma, beta, fixed, activation=activation), size).max(3)


def _batch_norm_margin(x, gamma, beta, fixed=None, *, activation) -> float:
    flat = x.reshape(-1, x.shape[-1])
    if fixed is None and len(flat) > 1 and flat.var(0).min() < LEAST_VARIANCE:
        return 0.0
    return KINKS.get(activation, lambda y: math.inf)(_batch_norm(x, gamma, beta, fixed))


def _batch_norm_pool_margin(x, gamma, beta, fixed=None, *, activation, size) -> float:
    return min(_batch_norm_margin(x, gamma, beta, fixed, activation=activation),
               _window_gap(_batch_norm(x, gamma, beta, fixed), size))


def _parameters(b, x: int) -> tuple:
    channels = b.shape_of(x)[-1]
    fixed = (b.constant("positive", (2, channels)),) if b.pick(3) == 0 else ()
    return (x, b.shaped((channels,)), b.shaped((channels,)), *fixed), {"activation": b.choose(tuple(FUNCTIONS))}


def _draw_batch_norm(b):
    x = b.node(accept=lambda shape: len(shape) > 1, make=lambda: (b.choose((3, 5, 2)), b.choose((1, 2, 4, 33))))
    return _parameters(b, x)


def _draw_batch_norm_pool(b):
    size = b.choose((2, 1, 3))
    inputs, settings = _parameters(b, _images(b, size))
    return inputs, {**settings, "size": size}


def _fixed_by_name(operation):
    return lambda x, gamma, beta, fixed=None, **settings: operation(x, gamma, beta, fixed=fixed, **settings)


LAYERS["batch_norm"] = Rule("batch_norm", _fixed_by_name(ops.batch_norm), _batch_norm, _draw_batch_norm, _batch_norm_margin)
LAYERS["batch_norm_pool2d"] = Rule("batch_norm_pool2d", _fixed_by_name(ops.batch_norm_pool2d), _batch_norm_pool,
                                   _draw_batch_norm_pool, _batch_norm_pool_margin)


# Noise

def _draw_dropout(b):
    x = b.node(accept=lambda shape: len(shape) > 0)
    noise = b.pick(1000), b.pick(1000), b.pick(3)
    return (x,), {"rate": b.choose((0.25, 0.0, 0.5)), "noise": noise, "layer": b.pick(4),
                  "example": [b.pick(1000) for _ in range(b.shape_of(x)[0])]}


def _dropout(x, rate, noise, layer, example):
    """Philox's words are counted by (place in the row, example, step, stream), four places to a call."""
    (seed, step, stream), width = noise, x.size // len(x)
    counter = np.zeros((len(x), -(-width // 4), 4), np.uint32)
    counter[..., 0], counter[..., 1] = np.arange(counter.shape[1]), np.array(example)[:, None]
    counter[..., 2], counter[..., 3] = step, stream + STREAMS * (layer + 1)
    words = philox(counter.reshape(-1, 4), np.tile(np.uint32([seed, 0]), (counter.size // 4, 1))).reshape(len(x), -1)[:, :width]
    return np.where(words.reshape(x.shape) < min(round((1 - rate) * 2**32), 2**32 - 1), x / (1 - rate), 0.0)


def _draw_reparameterize(b):
    x = b.node(ndim=2, accept=lambda shape: shape[1] % 2 == 0, make=lambda: (b.choose((1, 2, 3)), b.choose((2, 4, 6, 34))))
    return (x,), {"example": [b.pick(1000) for _ in range(b.shape_of(x)[0])],
                  "noise": (b.pick(1000), b.pick(1000), b.pick(3))}


def _reparameterize(heads, example, noise):
    """With the noise that the library draws for each example: tests/test_philox.py holds that against NumPy."""
    codes = heads.shape[1] // 2
    eps = [standard_normal(cpu(), 1, codes, Noise(*noise), np.float64, first=e)[0] for e in example]
    return reparameterize(heads, np.stack(eps))


LAYERS["dropout"] = Rule("dropout", lambda x, noise, **settings: ops.dropout(x, noise=Noise(*noise), **settings), _dropout,
                        _draw_dropout)
LAYERS["reparameterize"] = Rule("reparameterize", lambda x, example, noise: ops.reparameterize(
    x, example=on_device(x, np.int32(example)), noise=Noise(*noise)), _reparameterize, _draw_reparameterize)
