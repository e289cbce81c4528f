"""Reverse-mode automatic differentiation: a tape that knows no operation.

An op (see `op`) is a function of plain arrays that returns its outputs and a closure for the backward pass.
The engine wraps the outputs, records the closure, adds up gradients, undoes broadcasting and checks every
gradient's shape, in one place. Closures hold arrays, never a Tensor, so there are no reference
cycles and memory goes back as soon as it is no longer needed.
"""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Callable, Sequence
from contextlib import contextmanager

from minivae import trace
from minivae.device import device_of
from minivae.kernels import launch
from minivae.work import elements

_order = itertools.count()
_recording = True


class Tensor:
    """An array that remembers how it was computed.

    Args:
        data: a float32 or float64 array on any device.
        requires_grad: whether backward() leaves the gradient in `grad`.

    Attributes:
        data: the array.
        grad: the gradient's array after backward(), of data's shape and dtype; else None.
    """

    __slots__ = ("data", "requires_grad", "_grad", "_fresh", "_node", "_output", "__weakref__")

    def __init__(self, data, requires_grad: bool = False, grad=None):
        self.data = data
        self.requires_grad = requires_grad
        self._grad = grad           # where to leave the gradient; a Parameter's is a view of a flat array
        self._fresh = True          # nothing has been left there since the last clear_grad()
        self._node: Node | None = None
        self._output = 0

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

    def item(self) -> float:
        """The value of a tensor of one element; waits for the device."""
        return float(device_of(self.data).to_host(self.data).reshape(()))

    def backward(self) -> None:
        """Compute the gradients of this tensor of one element with respect to all it came from.

        Gradients add up in the `grad` of every leaf that requires one. The graph is freed on the way.

        Raises:
            ValueError: more than one element.
            RuntimeError: nothing was recorded, or the graph has been freed by an earlier call.
        """
        if self.data.size != 1:
            raise ValueError(f"backward() starts from one element, not from shape {self.shape}; take a mean or a sum")
        if self._node is None:
            raise RuntimeError("backward(): no operation on a tensor that requires a gradient led here")
        _backward(self._node, self._output, self.data)

    def __repr__(self) -> str:
        return f"Tensor(shape={self.shape}, dtype={self.dtype}, requires_grad={self.requires_grad})"


class Node:
    """One recorded operation.

    Attributes:
        order: when it was recorded; descending order is a valid order for the backward pass.
        backward: the op's closure, (gradients of outputs, places for gradients of inputs) -> gradients.
        parents: for each input a Tensor that is a leaf, (Node, output number), or None if no
            gradient is wanted.
        outputs: (shape, dtype) of each output.
        flops: of the backward pass, for a trace; 0 where none is running.
        grads: the gradient of each output so far.
    """

    __slots__ = ("order", "name", "backward", "parents", "outputs", "flops", "grads")

    def __init__(self, name: str, backward: Callable, parents: list, outputs: list, flops: int):
        self.order = next(_order)
        self.name, self.backward, self.parents, self.outputs, self.flops = name, backward, parents, outputs, flops
        self.grads: list = [None] * len(outputs)

    def __lt__(self, other: Node) -> bool:
        return self.order > other.order     # heapq gives the latest first


def op(function: Callable | None = None, *, flops: Callable[..., int] | None = None) -> Callable:
    """Make an operation of Tensors out of a function of arrays.

    `function(needs, *arrays, **settings)` gets which of its inputs need a gradient and the inputs' arrays. It returns
    (output or tuple of outputs, backward). `backward(*grads, into)` gets each output's gradient and
    `into`, a tuple with one entry for each input: an array to write that input's gradient to, or None to make a new
    one. It returns the gradients in the order of the inputs, None where not needed, and may return
    arrays of the shapes that broadcasting made of the inputs. The gradients that it gets are its own to overwrite or
    pass on; it must not keep what it returns, nor return views that overlap.

    `@op(flops=...)` is for bilinear operations: `flops(*arrays, **settings)` says how many floating-point operations
    one forward pass takes by the operation's definition, for traces. Each gradient of such an operation takes as many.

    The operation takes Tensors or arrays (which need no gradient) and returns Tensors.
    """

    if function is None:
        return functools.partial(op, flops=flops)
    name = function.__name__

    @functools.wraps(function)
    def apply(*inputs, **settings):
        tensors = [x if isinstance(x, Tensor) else None for x in inputs]
        arrays = [x.data if t is not None else x for x, t in zip(inputs, tensors, strict=True)]
        needs = tuple(_recording and t is not None and t.requires_grad for t in tensors)
        cost = 0 if flops is None or trace.active is None else flops(*arrays, **settings)
        outputs, backward = trace.under(name, trace.FORWARD, cost, function)(needs, *arrays, **settings)
        several = isinstance(outputs, tuple)
        results = [Tensor(data) for data in (outputs if several else (outputs,))]
        if any(needs):
            parents = [None if not need else (t if t._node is None else (t._node, t._output))
                       for t, need in zip(tensors, needs, strict=True)]
            node = Node(name, backward, parents, [(r.shape, r.dtype) for r in results], sum(needs) * cost)
            for number, result in enumerate(results):
                result._node, result._output, result.requires_grad = node, number, True
        return tuple(results) if several else results[0]

    return apply


def place_for(like, place):
    """Where an op writes the gradient of the input `like`: the `place` that `into` names, or a new array."""
    return device_of(like).empty(like.shape, like.dtype) if place is None else place


def _backward(root: Node, output: int, like) -> None:
    """Walk the graph from its end, latest node first; no recursion, whatever the depth."""
    device = device_of(like)
    one = device.empty(like.shape, like.dtype)
    one.fill(1)
    _require_unfreed(root)
    root.grads[output] = one
    waiting, seen = [root], {id(root)}
    while waiting:
        node = heapq.heappop(waiting)
        parents, backward, grads = node.parents, node.backward, node.grads
        node.parents = node.backward = node.grads = None      # freed on the way
        grads = [device.zeros(*made) if g is None else g for g, made in zip(grads, node.outputs, strict=True)]
        into = _places(parents)
        found = trace.under(node.name, trace.BACKWARD, node.flops, backward)(*grads, into)
        del grads, backward
        for number, (parent, grad) in enumerate(zip(parents, _owned(_sequence(found)), strict=True)):
            if parent is None:
                continue
            if isinstance(parent, Tensor):
                _leave(node.name, number, parent, grad)
            else:
                source, at = parent
                if id(source) not in seen:
                    _require_unfreed(source)
                    seen.add(id(source))
                    heapq.heappush(waiting, source)
                grad = _fit(node.name, number, grad, *source.outputs[at])
                source.grads[at] = grad if source.grads[at] is None else _sum(source.grads[at], grad)


def _sequence(found) -> Sequence:
    return found if isinstance(found, tuple) else (found,)


def _places(parents: list) -> tuple:
    """For each input the array that its gradient may be written to: a fresh leaf's own, and once only."""
    places: list = []
    for p in parents:
        place = p._grad if isinstance(p, Tensor) and p._fresh else None
        places.append(None if any(place is earlier for earlier in places) else place)
    return tuple(places)


def _owned(grads: Sequence) -> list:
    """The gradients, an array that is there twice copied: whoever gets one may overwrite it."""
    return [g.copy() if g is not None and any(g is earlier for earlier in grads[:i]) else g for i, g in enumerate(grads)]


def _require_unfreed(node: Node) -> None:
    if node.backward is None:
        raise RuntimeError(f"backward(): the graph behind {node.name} was freed by an earlier backward(); "
                           "compute the cost anew")


def _leave(name: str, number: int, leaf: Tensor, grad) -> None:
    """Put or add a gradient into a leaf's place for it."""
    grad = _fit(name, number, grad, leaf.shape, leaf.dtype)
    if leaf._grad is None:
        leaf._grad = device_of(grad).empty(leaf.shape, leaf.dtype)
    if leaf._fresh:
        if grad is not leaf._grad:
            leaf._grad[...] = grad
        leaf._fresh = False
    else:
        launch("add", elements(grad.size), leaf._grad, grad, leaf._grad, grad.size)


def _sum(a, b):
    """a + b in a new array: another node may hold either."""
    out = device_of(a).empty(a.shape, a.dtype)
    launch("add", elements(a.size), a, b, out, a.size)
    return out


def _fit(name: str, number: int, grad, shape: tuple[int, ...], dtype):
    """Undo broadcasting, then insist on the input's own shape and dtype."""
    if grad is not None and grad.shape != shape and grad.ndim >= len(shape):
        extra = grad.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(
            i + extra for i, size in enumerate(shape) if size == 1 and grad.shape[i + extra] != 1)
        if axes:
            grad = grad.sum(axis=axes, keepdims=True).reshape(shape)
    if grad is None or grad.shape != shape or grad.dtype != dtype:
        got = "no gradient" if grad is None else f"a gradient of shape {grad.shape}, {grad.dtype}"
        raise ValueError(f"{name}: its backward pass gave {got} for input {number} of shape {shape}, {dtype}")
    return grad if grad.flags.c_contiguous else grad.copy()     # a view is fine until a kernel has to add it


@contextmanager
def no_grad():
    """Within this context nothing is recorded: for evaluation, where no gradient will be asked for."""
    global _recording
    before, _recording = _recording, False
    try:
        yield
    finally:
        _recording = before
