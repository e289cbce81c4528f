"""The encoder and the decoder of a model as ONNX."""

from __future__ import annotations

import json
from functools import singledispatch

import numpy as np
import onnx

from minivae.errors import MinivaeError
from minivae.export.graph import Graph
from minivae.export.layers import emit
from minivae.models import M2, VAE
from minivae.models.likelihoods import Bernoulli
from minivae.runs import Settings


def encoder(model: VAE, settings: Settings) -> onnx.ModelProto:
    """images (count, height, width, channels) in [0, 1] -> mu and sigma (count, code), means and standard deviations of
    the codes, and of a model that knows of classes their probabilities (count, classes); as VAE.encode, mu and sigma are
    then those under the most probable class."""
    facts, graph = _facts(model, settings), Graph("encoder", {"images": model.image_shape})
    features = emit(model.encoder, graph, graph.reshape("images", (model.pixels,)))
    outputs = {"mu": (model.code,), "sigma": (model.code,)}
    if model.classes:
        graph.add("Softmax", emit(model.classifier, graph, features), name="probabilities", axis=1)
        outputs["probabilities"] = (model.classes,)
    heads = _heads(model, graph, features)
    _, rho = graph.add_many("Split", heads, graph.constant([model.code] * 2, np.int64), names=["mu", "rho"], axis=1)
    graph.add("Softplus", rho, name="sigma")
    black_or_white = ", each 0 or 1: the model takes black and white pixels" if model.likelihood.discrete else ""
    return graph.model(outputs, facts, {
        "images": f"height, width, channels; from 0 to 1{black_or_white}", "mu": "means of the codes",
        "sigma": "standard deviations of the codes", "probabilities": "of the classes"})


def decoder(model: VAE, settings: Settings) -> onnx.ModelProto:
    """codes (count, code), and of a model that knows of classes shares of the classes (count, classes), such as one-hot ->
    images (count, height, width, channels) in [0, 1]."""
    inputs = {"codes": (model.code,), **({"classes": (model.classes,)} if model.classes else {})}
    facts, graph = _facts(model, settings), Graph("decoder", inputs)
    z = graph.add("Concat", *inputs, axis=1) if model.classes else "codes"
    y = graph.reshape(emit(model.decoder, graph, z), model.image_shape)
    if isinstance(model.likelihood, Bernoulli):
        graph.add("Sigmoid", y, name="images")
    else:
        graph.add("Clip", y, graph.constant(0), graph.constant(1), name="images")
    return graph.model({"images": model.image_shape}, facts, {
        "codes": "draws from N(0, 1), or what the encoder gives", "images": "height, width, channels; from 0 to 1",
        "classes": "how much each class counts: 1 for one, 0 for the others"})


@singledispatch
def _heads(model: VAE, graph: Graph, features: str) -> str:
    """mu beside rho (count, 2 * code), of what the encoder gives."""
    return emit(model.heads, graph, features)


@_heads.register
def _(model: M2, graph: Graph, features: str) -> str:
    label = graph.add("ArgMax", "probabilities", axis=1, keepdims=0)
    one_hot = graph.add("OneHot", label, graph.constant(model.classes, np.int64), graph.constant([0, 1]), axis=1)
    return emit(model.heads, graph, emit(model.join, graph, graph.add("Concat", features, one_hot, axis=1)))


def _facts(model: VAE, settings: Settings) -> dict[str, object]:
    if model.dtype != np.float32:
        raise MinivaeError(f"a model of {model.dtype} is not exported: train it in float32")
    return {"data": settings.data, "arch": settings.arch, "likelihood": settings.likelihood, "binarize": settings.binarize,
            "image_shape": json.dumps(model.image_shape), "code": model.code, "classes": model.classes}
