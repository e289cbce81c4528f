"""Reverse-mode automatic differentiation: tensors, and operations that know how to go back.

An op (see `op`) is a function of plain arrays that returns its outputs and a closure for the backward pass.
The engine wraps the outputs, records the closure, and sends gradients back (tape.py). Closures hold
arrays, never a Tensor, so there are no reference cycles and memory goes back as soon as it is no longer needed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np

from minivae import trace
from minivae.device import device_of
from minivae.tape import Node, changed, leave, walk

_recording = True
_arrays: set[type] = set()      # whose instances are known to be a device's arrays: asked every time it would cost a microsecond


class Tensor:
    """An array that remembers how it was computed.

    Its operators (+, @, [...] and so on) are those of minivae.ops.operators.

    Args:
        data: a float32 or float64 array on any device; of bool where it is what a comparison gave.
        requires_grad: whether backward() leaves the gradient in `grad`.

    Attributes:
        data: the array.
        grad: the gradient's array after backward(), of data's shape and dtype; else None.

    Raises:
        TypeError: data that is no array.
    """

    __slots__ = ("data", "requires_grad", "_grad", "_fresh", "_source", "_changed", "__weakref__")
    __array_ufunc__ = None      # NumPy's arrays and scalars leave their operators to ours

    def __init__(self, data, requires_grad: bool = False, grad=None):
        if data.__class__ not in _arrays:
            _require_array(data)
        self.data = data
        self.requires_grad = requires_grad
        self._grad = grad           # where to leave the gradient; a Parameter's is a view of a flat array
        self._fresh = True          # nothing has been left there since the last clear_grad()
        self._source: tuple[Node, int] | None = None    # the operation that it is an output of, and which
        self._changed = [0]         # when it was last changed in place (see tape.py); shared by all tensors over this memory

    @property
    def grad(self):
        return None if self._fresh else self._grad

    def clear_grad(self) -> None:
        """Forget the gradient: the next backward pass overwrites it rather than adding to it."""
        self._fresh = True

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    def item(self) -> float:
        """The value of a tensor of one element; waits for the device."""
        return device_of(self.data).to_host(self.data).item()

    def numpy(self) -> np.ndarray:
        """A copy of the array on the host; waits for the device."""
        return device_of(self.data).to_host(self.data)

    def detach(self) -> Tensor:
        """The same memory as a tensor that came from nowhere and needs no gradient."""
        tensor = Tensor(self.data)
        tensor._changed = self._changed
        return tensor

    def assign(self, values, at=...) -> None:
        """Overwrite data[at] with a number, or an array or Tensor of the same dtype on the same device.

        A backward pass that still needs the old numbers refuses to run. The engine sees what goes through here and
        through `tensor[at] = values`, on this tensor and on what shares its memory through detach() and reshape(), and
        what optimizers, averages and load_state_dict() write; it does not see what is written into `data` by other ways.

        Raises:
            RuntimeError: this tensor is the result of a recorded operation, whose gradient would then be wrong.
            TypeError: another dtype or device, or a Tensor as the place.
        """
        if isinstance(at, Tensor):
            raise TypeError("assign: the place must be whole numbers and slices; for a condition assign "
                            "ops.where(condition, values, tensor)")
        if self._source is not None and _recording:
            raise RuntimeError(f"assign: this tensor of shape {self.shape} is the result of {self._source[0].name}, whose "
                               "gradient would be wrong afterwards; assign to a detach() of it, or compute another")
        values = values.data if isinstance(values, Tensor) else values
        if not isinstance(values, (int, float)):
            require_alike("assign", (self.data, values))
        self.data[at] = values
        changed((self._changed,))

    def backward(self, gradient=None, *, retain_graph: bool = False) -> None:
        """Compute the gradients of this tensor with respect to all it came from.

        Gradients add up in the `grad` of every leaf that requires one. The graph is freed on the way.

        Args:
            gradient: an array or Tensor like this one, what to start from; may be left out for one element, where it is 1.
            retain_graph: keep the graph for another backward pass through it.

        Raises:
            ValueError: no gradient for more than one element, or one of another shape.
            TypeError: a gradient of another dtype or on another device.
            RuntimeError: nothing was recorded, the graph has been freed by an earlier call, or what it needs has been
                overwritten in place.
        """
        if gradient is None and self.data.size != 1:
            raise ValueError(f"backward() starts from one element, not from shape {self.shape}; take a mean or a sum, or "
                             "give it a gradient of that shape")
        if not self.requires_grad:
            raise RuntimeError("backward(): no operation on a tensor that requires a gradient led here")
        start = _start(self.data, gradient)
        if self._source is None:
            leave("backward", 0, self, start)
        else:
            walk(*self._source, start, retain_graph)

    def __repr__(self) -> str:
        return f"Tensor(shape={self.shape}, dtype={self.dtype}, requires_grad={self.requires_grad})"


def _require_array(data) -> None:
    try:
        device_of(data)
        _arrays.add(data.__class__)
    except TypeError:
        raise TypeError(f"a Tensor is made of an array on a device, not of {type(data).__name__}: give "
                        "numpy.array(values, numpy.float32), or what a device's from_host() makes of that") from None


def op(function: Callable | None = None, *, flops: Callable[..., int] | None = None, view: bool = False) -> Callable:
    """Make an operation of Tensors out of a function of arrays.

    `function(needs, *arrays, **settings)` gets which of its inputs need a gradient and the inputs' arrays. It returns
    (output or tuple of outputs, backward). `backward(*grads, into)` gets each output's gradient and
    `into`, a tuple with one entry for each input: an array to write that input's gradient to, or None to make a new
    one. It returns the gradients in the order of the inputs, None where not needed, and may return
    arrays of the shapes that broadcasting made of the inputs. The gradients that it gets are its own to overwrite or
    pass on; it must not keep what it returns (see tape.lend), nor return views that overlap.

    `@op(flops=...)` is for bilinear operations: `flops(*arrays, **settings)` says how many floating-point operations
    one forward pass takes by the operation's definition, for traces. Each gradient of such an operation takes as many.
    `@op(view=True)` says that the output may share the first input's memory.

    The operation takes Tensors or arrays (which need no gradient) and returns Tensors.

    Raises:
        TypeError: the operation's inputs live on several devices, or are floating-point numbers of several dtypes.
    """

    if function is None:
        return functools.partial(op, flops=flops, view=view)
    name = function.__name__.lstrip("_")

    @functools.wraps(function)
    def apply(*inputs, **settings):
        arrays, parents, memory, needs, leaf = [], [], [], (), False    # a comprehension costs as much as a small launch
        for x in inputs:
            parent = None
            if isinstance(x, Tensor):
                memory.append(x._changed)
                if x.requires_grad and _recording:
                    parent = x._source
                    if parent is None:
                        parent, leaf = x, True
                x = x.data
            arrays.append(x)
            parents.append(parent)
            needs += (parent is not None,)
        if len(arrays) > 1:
            require_alike(name, arrays)
        cost = 0
        if trace.active is None:
            outputs, backward = function(needs, *arrays, **settings)
        else:
            cost = 0 if flops is None else flops(*arrays, **settings)
            outputs, backward = trace.under(name, trace.FORWARD, cost, function)(needs, *arrays, **settings)
        node = Node(name, backward, parents, leaf, memory, cost and sum(needs) * cost) if True in needs else None
        shared = memory[0] if view and memory else None
        if outputs.__class__ is not tuple:
            return _result(outputs, node, 0, shared)
        return tuple([_result(data, node, at, None if at else shared) for at, data in enumerate(outputs)])

    return apply


def _result(data, node: Node | None, at: int, shared: list | None) -> Tensor:
    """Output number `at` of an operation; `shared` is the mark of the memory that it shares."""
    result = Tensor(data)
    if shared is not None:
        result._changed = shared
    if node is not None:
        result._source, result.requires_grad = (node, at), True
        node.outputs.append((data.shape, data.dtype))
        node.memory.append(result._changed)
    return result


def require_alike(name: str, arrays) -> None:
    """Refuse inputs of the operation of that name that do not go together.

    Raises:
        TypeError: arrays on several devices, or of several floating-point dtypes, or something that is no array.
    """
    first, *others = arrays
    kind, dtype = type(first), getattr(first, "dtype", None)
    for x in others:
        if type(x) is not kind or x.dtype is not dtype:
            break
    else:
        return
    devices = {device_of(x).name for x in arrays}
    if len(devices) > 1:
        raise TypeError(f"{name}: inputs on {' and '.join(sorted(devices))}; move them to one device with its from_host()")
    dtypes = {str(x.dtype) for x in arrays if x.dtype.kind == "f"}
    if len(dtypes) > 1:
        raise TypeError(f"{name}: inputs of {' and '.join(sorted(dtypes))}; nothing is promoted silently, convert one with "
                        "its array's astype()")


def place_for(like, place):
    """Where an op writes the gradient of the input `like`: the `place` that `into` names, or a new array."""
    return device_of(like).empty(like.shape, like.dtype) if place is None else place


def _start(like, gradient):
    """The gradient that a backward pass from an array `like` starts with, in a new array."""
    device = device_of(like)
    if gradient is None:
        one = device.empty(like.shape, like.dtype)
        one.fill(1)
        return one
    gradient = gradient.data if isinstance(gradient, Tensor) else gradient
    require_alike("backward", (like, gradient))
    if gradient.shape != like.shape:
        raise ValueError(f"backward(): a gradient of shape {gradient.shape} for a tensor of shape {like.shape}")
    copy = device.empty(like.shape, like.dtype)
    copy[...] = gradient
    return copy


@contextmanager
def no_grad():
    """Within this context nothing is recorded: for evaluation, where no gradient will be asked for."""
    global _recording
    before, _recording = _recording, False
    try:
        yield
    finally:
        _recording = before
