"""Whether exported graphs give what the model gives: both run, on the model's own samples, and are compared."""

from __future__ import annotations

import numpy as np
import onnx

from minivae import apply
from minivae.errors import MinivaeError
from minivae.models import VAE
from minivae.system import default_threads

MOST = 1e-4         # difference of an output, of its size where that is above 1
BATCHES = (1, 3, 64)
CLASSES = "probabilities"


def compare(model: VAE, graphs: dict[str, onnx.ModelProto]) -> tuple[str, dict[str, float]]:
    """Run the encoder and the decoder in onnxruntime, in batches of several sizes.

    Args:
        graphs: "encoder" and "decoder".

    Returns:
        runtime: its name and version.
        differences: output to the largest |theirs - ours| / max(1, |ours|).

    Raises:
        MinivaeError: a difference is above MOST.
    """
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)      # it warns of GPUs that are not there
    found: dict[str, float] = {}
    for name, (inputs, ours) in _examples(model).items():
        theirs = _run(onnxruntime, graphs[name], inputs)
        rows = _of_one_class(theirs, ours)
        found |= {output: _difference(theirs[output][rows], ours[output][rows]) for output in ours if output != CLASSES}
        if CLASSES in ours:
            found[CLASSES] = _difference(theirs[CLASSES], ours[CLASSES])
    if wrong := {name: value for name, value in found.items() if not value <= MOST}:
        raise MinivaeError(f"the exported {', '.join(wrong)} differ from minivae's own by up to {max(wrong.values()):.2g}, "
                           f"more than {MOST:g}: nothing was written; please report it with what minivae doctor prints")
    return f"onnxruntime {onnxruntime.__version__}", found


def _examples(model: VAE) -> dict[str, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """For the decoder and the encoder: what goes in, by name, and what the model makes of it."""
    count = sum(BATCHES)
    codes = apply.prior(model, count, seed=0)
    shares = np.eye(model.classes, dtype=np.float32)[np.arange(count) % model.classes] if model.classes else None
    images = apply.decode(model, codes, shares)
    taken = np.rint(images) if model.likelihood.discrete else images
    mu, sigma = apply.encode(model, taken)
    encoded = {"mu": mu, "sigma": sigma}
    if model.classes:
        encoded[CLASSES] = apply.classify(model, taken)
    return {"decoder": ({"codes": codes, **({} if shares is None else {"classes": shares})}, {"images": images}),
            "encoder": ({"images": taken}, encoded)}


def _run(onnxruntime, graph: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a graph gives, by name, for all inputs, batch by batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = default_threads()
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names, ends = [output.name for output in session.get_outputs()], np.cumsum(BATCHES)
    parts = [session.run(names, {name: array[end - size:end] for name, array in inputs.items()})
             for size, end in zip(BATCHES, ends, strict=True)]
    return {name: np.concatenate(found) for name, found in zip(names, zip(*parts, strict=True), strict=True)}


def _of_one_class(theirs: dict[str, np.ndarray], ours: dict[str, np.ndarray]):
    """The rows of an encoder's outputs that are comparable: codes are those under the most probable class, and where two
    classes are almost as probable, rounding decides which one that is."""
    return theirs[CLASSES].argmax(1) == ours[CLASSES].argmax(1) if CLASSES in ours else slice(None)


def _difference(theirs: np.ndarray, ours: np.ndarray) -> float:
    return float((np.abs(theirs.astype(np.float64) - ours) / np.maximum(1, np.abs(ours))).max(initial=0))
