"""Graphs of ONNX, an operator after the other, and as models that are checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from minivae import __version__

OPSET = 17          # of ONNX 1.12, 2022: onnxruntime 1.12 and newer run it
IR = 8              # the file format's version of that time
COUNT = "count"     # the name of the first axis, whose size is open

Shape = tuple[int, ...]     # of one example: without the first axis


class Graph:
    """A graph in the making. Values go by their names.

    Images are channels last, as in minivae; ONNX convolves channels first. The transposes between are written once for a
    value, and those that nothing reads are left out at the end.

    Args:
        name: of the graph.
        inputs: name to the shape of one example.
    """

    def __init__(self, name: str, inputs: Mapping[str, Shape]):
        self.name, self.inputs = name, dict(inputs)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._shapes: dict[str, Shape] = dict(inputs)           # of inputs and of what is a reshape
        self._reshaped: dict[str, str] = {}                     # a reshape's name to that of what it reshapes
        self._first: dict[str, str] = {}                        # channels last to the same value channels first

    def add(self, kind: str, *inputs: str, name: str | None = None, **attributes) -> str:
        """The value that an operator gives, by its name, or by one made up."""
        return self.add_many(kind, *inputs, names=[name or f"{kind.lower()}_{len(self._nodes)}"], **attributes)[0]

    def add_many(self, kind: str, *inputs: str, names: Sequence[str], **attributes) -> list[str]:
        """The values that an operator gives."""
        self._nodes.append(helper.make_node(kind, inputs, names, name=f"{kind}_{len(self._nodes)}", **attributes))
        return list(names)

    def constant(self, values, dtype=np.float32) -> str:
        """A value that the graph holds."""
        name = f"constant_{len(self._constants)}"
        self._constants[name] = np.asarray(values, dtype, order="C")     # ascontiguousarray gives numbers an axis
        return name

    def reshape(self, value: str, shape: Shape) -> str:
        """The value with examples of that shape; a reshape of a reshape is one, or none."""
        value = self._reshaped.get(value, value)
        if self._shapes.get(value) == shape:
            return value
        made = self.add("Reshape", value, self.constant((0, *shape), np.int64))      # 0 keeps the first axis as it is
        self._reshaped[made], self._shapes[made] = value, shape
        return made

    def channels_first(self, value: str) -> str:
        """Images (count, height, width, channels) as (count, channels, height, width)."""
        if value not in self._first:
            self._first[value] = self.add("Transpose", value, perm=(0, 3, 1, 2))
        return self._first[value]

    def channels_last(self, value: str) -> str:
        """The inverse of channels_first."""
        made = self.add("Transpose", value, perm=(0, 2, 3, 1))
        self._first[made] = value
        return made

    def model(self, outputs: Mapping[str, Shape], facts: Mapping[str, object], words: Mapping[str, str]) -> onnx.ModelProto:
        """The whole, checked.

        Args:
            outputs: name to the shape of one example.
            facts: goes into the metadata.
            words: what inputs and outputs are, by name.
        """
        nodes = self._used(outputs)
        read = {name for node in nodes for name in node.input}
        constants = [numpy_helper.from_array(array, name) for name, array in self._constants.items() if name in read]
        made = helper.make_graph(nodes, self.name, _values(self.inputs, words), _values(outputs, words), constants)
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR,
                                  producer_name="minivae", producer_version=__version__)
        helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
        onnx.checker.check_model(model, full_check=True)
        return model

    def _used(self, outputs: Mapping[str, Shape]) -> list[onnx.NodeProto]:
        """The operators that the outputs come from, in order."""
        wanted, nodes = set(outputs), []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                nodes.append(node)
        return nodes[::-1]


def _values(shapes: Mapping[str, Shape], words: Mapping[str, str]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, (COUNT, *shape), words[name])
            for name, shape in shapes.items()]


def signature(model: onnx.ModelProto) -> str:
    """What a model takes and gives, in words: images (count, 28, 28, 1) -> mu (count, 8), sigma (count, 8)."""
    taken, given = (", ".join(map(_in_words, values)) for values in (model.graph.input, model.graph.output))
    return f"{taken} -> {given}"


def _in_words(value: onnx.ValueInfoProto) -> str:
    sizes = (size.dim_param or str(size.dim_value) for size in value.type.tensor_type.shape.dim)
    return f"{value.name} ({', '.join(sizes)})"
