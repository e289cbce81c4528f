"""The tape: the recorded operations, and the walk back over them.

The walk adds up gradients, undoes broadcasting and checks every gradient's shape, in one place. It is iterative (a chain
of 20,000 operations must not recurse), takes the latest operation first, and frees the graph on the way.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable

from minivae import trace
from minivae.device import device_of, empty_like
from minivae.kernels import launch
from minivae.sums import sum_over
from minivae.work import elements

_order = itertools.count(1)
_retaining = False
_changes = 0        # the _order of the latest in-place change of any tensor


class Node:
    """One recorded operation.

    Attributes:
        order: when it was recorded; descending order is a valid order for the backward pass.
        backward: the op's closure, (gradients of outputs, places for gradients of inputs) -> gradients.
        parents: for each input a Tensor that is a leaf, (Node, output number), or None if no
            gradient is wanted.
        leaf: whether there is a leaf among them.
        outputs: (shape, dtype) of each output.
        memory: of each tensor among inputs and outputs, when it was last changed in place.
        flops: of the backward pass, for a trace; 0 where none is running.
        grads: the gradient of each output so far; None until the first one comes.
    """

    __slots__ = ("order", "name", "backward", "parents", "leaf", "outputs", "memory", "flops", "grads")

    def __init__(self, name: str, backward: Callable, parents: list, leaf: bool, memory: list, flops: int):
        self.order = next(_order)
        self.name, self.backward, self.parents, self.leaf = name, backward, parents, leaf
        self.memory, self.flops = memory, flops
        self.outputs: list[tuple] = []
        self.grads: list | None = None


def changed(memories: Iterable[list]) -> None:
    """Note that what lies in the memory of those marks (Tensor._changed) has just been overwritten."""
    global _changes
    _changes = now = next(_order)
    for memory in memories:
        memory[0] = now


def lend(array):
    """What a closure of a backward pass hands out of an array that it holds: a copy while the graph is retained, since
    whoever gets a gradient may overwrite it."""
    return array.copy() if _retaining else array


def walk(root: Node, output: int, start, retain: bool) -> None:
    """Send the gradient `start` of a node's output back to all leaves.

    Args:
        start: an array that nobody else holds.
        retain: keep the graph for another walk.

    Raises:
        RuntimeError: a node was freed by an earlier walk, or what it needs has been overwritten.
        ValueError: an operation's backward pass gave what does not fit.
    """
    global _retaining
    _require_usable(root)
    root.grads = [None] * len(root.outputs)
    root.grads[output] = start
    waiting = [(-root.order, root)]       # the latest at its head; orders differ, so nodes are never compared
    before, _retaining = _retaining, retain
    try:
        while waiting:
            _step(heapq.heappop(waiting)[1], waiting, retain)
    finally:
        _retaining = before
        for _, node in waiting:     # after an error: what is retained must not find half a gradient
            node.grads = None


def _step(node: Node, waiting: list, retain: bool) -> None:
    """One node's part of the walk: its inputs' gradients go to leaves and to the nodes that the inputs came from."""
    parents, grads, node.grads = node.parents, node.grads, None
    into = _places(parents) if node.leaf else (None,) * len(parents)
    if len(grads) == 1 and trace.active is None:
        found = node.backward(grads[0], into)
    else:
        found = _gradients(node, grads, into)
    del grads
    if found.__class__ is not tuple:
        found = (found,)
    if len(found) != len(parents):
        raise ValueError(f"{node.name}: its backward pass gave {len(found)} gradients for {len(parents)} inputs")
    if len(found) > 1 and (len(found) > 2 or found[0] is found[1]):
        found = _owned(found)
    if not retain:
        node.parents = node.backward = node.memory = None
    for number, parent in enumerate(parents):
        if parent is None:
            continue
        grad = found[number]
        if parent.__class__ is not tuple:
            leave(node.name, number, parent, grad)
            continue
        source, at = parent
        shape, dtype = source.outputs[at]
        if grad is None or grad.shape != shape or grad.dtype is not dtype or not grad.flags.c_contiguous:
            grad = _fit(node.name, number, grad, shape, dtype)
        if source.grads is None:
            if source.backward is None or _changes > source.order:
                _require_usable(source)
            source.grads = [None] * len(source.outputs)
            heapq.heappush(waiting, (-source.order, source))
        before = source.grads[at]
        source.grads[at] = grad if before is None else _sum(before, grad)


def _gradients(node: Node, grads: list, into: tuple):
    """What a node's closure makes of the gradients of several outputs, or under a trace."""
    if len(grads) > 1:
        device = device_of(next(g for g in grads if g is not None))
        grads = [device.zeros(*made) if g is None else g for g, made in zip(grads, node.outputs, strict=True)]
    if trace.active is None:
        return node.backward(*grads, into)
    return trace.under(node.name, trace.BACKWARD, node.flops, node.backward)(*grads, into)


def _places(parents: list) -> tuple:
    """For each input the array that its gradient may be written to: a fresh leaf's own, and once only."""
    places: list = []
    for p in parents:
        place = None
        if p.__class__ is not tuple and p is not None and p._fresh:
            place = p._grad
            if place is not None and any(place is earlier for earlier in places):
                place = None
        places.append(place)
    return tuple(places)


def _owned(grads: tuple) -> tuple:
    """The gradients, an array that is there twice copied: whoever gets one may overwrite it."""
    made: list = []
    for g in grads:
        if g is not None and id(g) in map(id, made):
            g = g.copy()
        made.append(g)
    return tuple(made)


def _require_usable(node: Node) -> None:
    if node.backward is None:
        raise RuntimeError(f"backward(): the graph behind {node.name} was freed by an earlier backward(); compute the cost "
                           "anew, or keep it with backward(retain_graph=True)")
    if _changes > node.order and any(memory[0] > node.order for memory in node.memory) and _holds_arrays(node.backward):
        raise RuntimeError(f"backward(): numbers that {node.name} needs were overwritten in place after it ran; compute the "
                           "cost anew, or assign after backward()")


def _holds_arrays(closure: Callable) -> bool:
    """Whether a backward pass may look at any numbers but the gradient's: itself, or another that it calls."""
    waiting, seen = [closure], set()
    while waiting:
        value = waiting.pop()
        if any(map(_is_array, (value, *getattr(value, "__dict__", {}).values()))):     # itself, or an object that has some
            return True
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, (tuple, list)):
            waiting += value
        elif callable(value):
            waiting += [cell.cell_contents for cell in getattr(value, "__closure__", None) or ()]
            waiting += [getattr(value, "func", None), *getattr(value, "args", ())]     # of a functools.partial
    return False


def _is_array(value) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def leave(name: str, number: int, leaf, grad) -> None:
    """Put or add a gradient, that of input `number` of the operation `name`, into a leaf's place for it."""
    grad = _fit(name, number, grad, leaf.data.shape, leaf.data.dtype)
    if leaf._fresh:
        if leaf._grad is None:
            leaf._grad = grad
        elif grad is not leaf._grad:
            leaf._grad[...] = grad
        leaf._fresh = False
    else:
        launch("add", elements(grad.size), leaf._grad, grad, leaf._grad, grad.size)


def _sum(a, b):
    """a + b in a new array: another node may hold either."""
    out = empty_like(a)
    launch("add", elements(a.size), a, b, out, a.size)
    return out


def _fit(name: str, number: int, grad, shape: tuple[int, ...], dtype):
    """Undo broadcasting, then insist on the input's own shape and dtype."""
    if grad is not None and grad.shape != shape and grad.ndim >= len(shape):
        extra = grad.ndim - len(shape)
        axes = (*range(extra), *(i + extra for i, size in enumerate(shape) if size == 1 and grad.shape[i + extra] != 1))
        if axes:
            grad = sum_over(grad if grad.flags.c_contiguous else grad.copy(), axes).reshape(shape)
    if grad is None or grad.shape != shape or grad.dtype != dtype:
        got = "no gradient" if grad is None else f"a gradient of shape {grad.shape}, {grad.dtype}"
        raise ValueError(f"{name}: its backward pass gave {got} for input {number} of shape {shape}, {dtype}")
    return grad if grad.flags.c_contiguous else grad.copy()     # a view is fine until a kernel has to add it
