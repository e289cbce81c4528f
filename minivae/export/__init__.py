"""Trained models as ONNX (Open Neural Network Exchange), which other programs run without minivae.

graph.py builds graphs, layers.py says what each layer is in one, networks.py makes an encoder and a decoder of a model,
agreement.py compares both with minivae's own outputs. Only these know onnx, an extra, and they are loaded when needed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from minivae.errors import MinivaeError
from minivae.files import new_folder
from minivae.models import VAE
from minivae.runs import Settings
from minivae.system import pip

EXTRA = "onnx"                          # of minivae's setup.py
PACKAGES = ("onnx", "onnxruntime")      # what it holds


class Export(NamedTuple):
    """What was written.

    Attributes:
        opset: the version of ONNX's operators.
        signatures: file name to a line in words, of what it takes and gives.
        runtime: the onnxruntime that ran both graphs, with its version; None where it is not installed.
        differences: output to its largest difference from minivae's own, see agreement.py; None likewise.
    """

    opset: int
    signatures: dict[str, str]
    runtime: str | None
    differences: dict[str, float] | None


def export(model: VAE, settings: Settings, folder: str | os.PathLike) -> Export:
    """Write encoder.onnx and decoder.onnx of a trained model into a new folder, once they agree with the model.

    Args:
        settings: what it was trained with; some of it goes into the files' metadata.

    Raises:
        UsageError: the folder holds something already.
        MinivaeError: onnx is not installed, the folder cannot be written, or the graphs do not agree with the model.
    """
    require("onnx")
    from minivae.export import agreement, graph, networks
    graphs = {"encoder": networks.encoder(model, settings), "decoder": networks.decoder(model, settings)}
    with new_folder(folder) as aside:
        for name, made in graphs.items():
            (Path(aside) / f"{name}.onnx").write_bytes(made.SerializeToString())
        found = agreement.compare(model, graphs) if installed("onnxruntime") else (None, None)
    return Export(graph.OPSET, {f"{name}.onnx": graph.signature(made) for name, made in graphs.items()}, *found)


def require(package: str) -> None:
    """Raises:
        MinivaeError: the package is not installed; names the command that installs it."""
    if not installed(package):
        raise MinivaeError(f"writing ONNX needs the package {package}: {advice()}")


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    from importlib.util import find_spec
    return find_spec(package) is not None


def advice() -> str:
    """The command that installs what the extra holds."""
    return f"{pip()} install {' '.join(PACKAGES)}"
