"""A record of what training does: which operations ran, and their kernel launches and matrix products.

Nothing is recorded unless someone asks (`recording`); then the engine (tensor.py), the launcher (kernels.py) and the
devices' products (device.py) tell the running trace. Otherwise each of them only looks whether `active` is None.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

active: Trace | None = None     # the running trace
FORWARD, BACKWARD = "forward", "backward"


class Operand(NamedTuple):
    """Where a matrix, or a batch of them, lies in memory.

    Attributes:
        address: of its first element.
        shape: elements along each axis.
        strides: bytes from one element to the next along each axis.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Product(NamedTuple):
    """One call of a device's matmul: a (..., m, k) @ b (..., k, n) -> out (..., m, n)."""

    a: Operand
    b: Operand
    out: Operand
    dtype: object
    accumulate: bool

    @property
    def flops(self) -> int:
        """The multiplications and additions that were made."""
        return 2 * math.prod(self.out.shape) * self.a.shape[-1]


class Operation(NamedTuple):
    """One pass of an operation of the graph.

    Attributes:
        name: as in minivae.ops.
        phase: FORWARD or BACKWARD.
        flops: the arithmetic of its definition, where the operation states it (see tensor.op); else 0.
    """

    name: str
    phase: str
    flops: int


class Extent(NamedTuple):
    """How large an array is."""

    count: int
    itemsize: int

    @property
    def bytes(self) -> int:
        return self.count * self.itemsize


class Call(NamedTuple):
    """One kernel launch or one matrix product.

    Attributes:
        operation, phase: whom it served; outside of all operations the kernel's own name, and "".
        kernel: its name; "matmul" for a product.
        product: None for a kernel.
        arguments: of a kernel, in the order of its parameters: an Extent for an array, a number as it is.
        began, ended: the clock's marks around it; None without a clock.
    """

    operation: str
    phase: str
    kernel: str
    product: Product | None
    arguments: tuple[Extent | float, ...]
    began: object
    ended: object


class Visit(NamedTuple):
    """One call of a module of nn.

    Attributes:
        module: which.
        shape: of what it returned; of several tensors a tuple of shapes; None for anything else.
        operations: which of the trace's operations it made, those of the modules that it called among them.
    """

    module: object
    shape: tuple | None
    operations: range


class Trace:
    """What happened while it was the active one.

    Args:
        clock: a device, whose marks are put around every call; None for none.

    Attributes:
        operations, calls: in the order in which they ran.
        visits: the calls of modules, in the order in which they ended.
    """

    def __init__(self, clock=None):
        self.operations: list[Operation] = []
        self.calls: list[Call] = []
        self.visits: list[Visit] = []
        self._clock = clock
        self._serving: tuple[str, str] | None = None

    @property
    def flops(self) -> int:
        """The arithmetic of the operations that state theirs: matrix products and convolutions, by definition."""
        return sum(operation.flops for operation in self.operations)

    @property
    def products(self) -> list[Product]:
        """The matrix products that were made."""
        return [call.product for call in self.calls if call.product]

    @property
    def launches(self) -> int:
        """How many kernels were launched."""
        return sum(call.product is None for call in self.calls)

    def launch(self, kernel: str, arguments: tuple, run: Callable[[], None]) -> None:
        """Run a kernel that has those arguments, and record it."""
        _, began, ended = self._clocked(run)
        extents = tuple(a if isinstance(a, (int, float, np.generic)) else Extent(a.size, a.dtype.itemsize) for a in arguments)
        self._record(kernel, None, extents, began, ended)

    def multiply(self, matmul: Callable, device, a, b, out, accumulate: bool):
        """Make a product on a device, record it, and return it."""
        out, began, ended = self._clocked(lambda: matmul(device, a, b, out, accumulate))
        operands = (Operand(device.address_of(x), x.shape, x.strides) for x in (a, b, out))
        self._record("matmul", Product(*operands, out.dtype, accumulate), (), began, ended)
        return out

    def serve(self, operation: Operation, run: Callable[..., object], *args, **settings):
        """Run an operation; what it launches is recorded as its own."""
        self.operations.append(operation)
        before, self._serving = self._serving, (operation.name, operation.phase)
        try:
            return run(*args, **settings)
        finally:
            self._serving = before

    def visit(self, module, forward: Callable[..., object], *inputs, **settings):
        """Run a module's forward pass, and record it."""
        first = len(self.operations)
        result = forward(*inputs, **settings)
        self.visits.append(Visit(module, _shape(result), range(first, len(self.operations))))
        return result

    def _clocked(self, run: Callable[[], object]) -> tuple:
        """(result, mark before, mark after)."""
        if self._clock is None:
            return run(), None, None
        began = self._clock.mark()
        result = run()
        return result, began, self._clock.mark()

    def _record(self, kernel: str, product: Product | None, arguments: tuple, began, ended) -> None:
        self.calls.append(Call(*(self._serving or (kernel, "")), kernel, product, arguments, began, ended))


def _shape(result) -> tuple | None:
    """The shape of a tensor, or the shapes of several; None for anything else."""
    if hasattr(result, "shape"):
        return tuple(result.shape)
    shapes = tuple(map(_shape, result)) if isinstance(result, (tuple, list)) else ()
    return shapes if shapes and None not in shapes else None


@contextmanager
def recording(clock=None) -> Iterator[Trace]:
    """Within this context everything is recorded in the trace that it gives.

    Args:
        clock: see Trace.

    Raises:
        RuntimeError: a trace is running already.
    """
    global active
    if active is not None:
        raise RuntimeError("a trace is running already")
    active = Trace(clock)
    try:
        yield active
    finally:
        active = None


def under(name: str, phase: str, flops: int, run: Callable) -> Callable:
    """`run`, such that a running trace knows which operation's pass it is."""
    return run if active is None else functools.partial(active.serve, Operation(name, phase, flops), run)


def recorded(matmul: Callable) -> Callable:
    """A device's method `matmul` that tells the running trace of its products."""

    @functools.wraps(matmul)
    def multiply(device, a, b, out=None, accumulate: bool = False):
        if active is None:
            return matmul(device, a, b, out, accumulate)
        return active.multiply(matmul, device, a, b, out, accumulate)

    return multiply
