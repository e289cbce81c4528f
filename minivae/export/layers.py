"""What each layer is in ONNX: emit() is a function for every kind of layer that minivae's models are made of.

Batch norm with its fixed-point statistics is a factor and an addend for each column, which go into the product before it.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from minivae.device import device_of
from minivae.errors import MinivaeError
from minivae.export.graph import Graph
from minivae.models import conv
from minivae.nn import BatchNorm, Conv, Dense, Module, Sequential
from minivae.ops.batch_norm import EPSILON

ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "softplus": "Softplus", "sigmoid": "Sigmoid"}


@singledispatch
def emit(layer: Module, graph: Graph, x: str) -> str:
    """Add a layer, in use and not in training, to a graph.

    Args:
        x: what comes in.

    Returns:
        What goes out.

    Raises:
        MinivaeError: a kind of layer that is not known here.
    """
    raise MinivaeError(f"layers of the kind {type(layer).__name__} have no form in ONNX here: register one with "
                       "minivae.export.layers.emit")


@emit.register
def _(layer: Sequential, graph: Graph, x: str) -> str:
    for each in layer:
        x = emit(each, graph, x)
    return x


@emit.register
def _(layer: Dense, graph: Graph, x: str) -> str:
    factor, addend = _folded(layer.norm)
    y = graph.add("Gemm", x, graph.constant(_host(layer.weight.data) * factor), graph.constant(addend))
    return _activated(graph, y, layer.norm.activation)


@emit.register
def _(layer: Conv, graph: Graph, x: str) -> str:
    factor, addend = _folded(layer.norm)
    weight, x = _host(layer.weight.data) * factor, graph.channels_first(x)      # (height, width, inputs, outputs)
    pads = [layer.pad] * 4
    if layer.up:        # ends one pixel later than where the last kernel ends: that makes twice the size
        y = graph.add("ConvTranspose", x, graph.constant(weight.transpose(2, 3, 0, 1)), graph.constant(addend),
                      strides=(2, 2), pads=pads, output_padding=(1, 1))
    else:
        y = graph.add("Conv", x, graph.constant(weight.transpose(3, 2, 0, 1)), graph.constant(addend), pads=pads)
    y = _activated(graph, y, layer.norm.activation)
    if layer.norm.pool > 1:
        y = graph.add("MaxPool", y, kernel_shape=[layer.norm.pool] * 2, strides=[layer.norm.pool] * 2)
    return graph.channels_last(y)


@emit.register
def _(layer: conv.Encoder, graph: Graph, x: str) -> str:
    x = graph.reshape(x, layer.image_shape)
    for each in layer.down:
        x = emit(each, graph, x)
    x = graph.reshape(x, (layer.dense[0].weight.shape[0],))
    for each in layer.dense:
        x = emit(each, graph, x)
    return x


@emit.register
def _(layer: conv.Decoder, graph: Graph, x: str) -> str:
    x = graph.reshape(emit(layer.dense, graph, x), layer.small)
    for each in layer.up:
        x = emit(each, graph, x)
    return x


def _folded(norm: BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """(factor, addend), float64 (channels,): what batch norm makes of x is factor * x + addend.

    Raises:
        MinivaeError: its statistics are not computed.
    """
    if norm.moments is None:
        raise MinivaeError("batch norm has no fixed-point statistics yet: export a trained model")
    mean, variance = _host(norm.moments)
    factor = _host(norm.gamma.data) / np.sqrt(variance + EPSILON)
    return factor, _host(norm.beta.data) - mean * factor


def _activated(graph: Graph, x: str, activation: str) -> str:
    if activation == "identity":
        return x
    if activation == "hard_tanh":
        return graph.add("Clip", x, graph.constant(-1), graph.constant(1))
    return graph.add(ACTIVATIONS[activation], x)


def _host(array) -> np.ndarray:
    return device_of(array).to_host(array).astype(np.float64)
