"""What a model is made of: its modules with their output shapes, parameters and arithmetic."""

from __future__ import annotations

from typing import NamedTuple

from minivae import trace
from minivae.nn.module import Module
from minivae.tensor import no_grad


class Row(NamedTuple):
    """One module of a summary; its numbers include the modules below it.

    Attributes:
        name: dotted, "" for the whole model.
        kind: its class.
        depth: how many modules it lies below the whole model.
        shape: of what it returned, see trace.Visit; None where the pass did not call it.
        parameters: how many numbers training changes.
        flops: floating-point operations of the matrix products and convolutions in the pass, as they are defined.
    """

    name: str
    kind: str
    depth: int
    shape: tuple | None
    parameters: int
    flops: int


class Summary(NamedTuple):
    """The modules of a model, the whole model first; prints as a table."""

    rows: tuple[Row, ...]

    @property
    def parameters(self) -> int:
        """How many numbers training changes."""
        return self.rows[0].parameters

    @property
    def flops(self) -> int:
        """The arithmetic of the forward pass: see Row."""
        return self.rows[0].flops

    def __rich__(self):
        from rich.table import Table
        table = Table(caption="FLOPs: matrix products and convolutions of this forward pass, as defined", caption_justify="left")
        for column in ("module", "class", "output", "parameters", "FLOPs"):
            number = column in ("parameters", "FLOPs")
            table.add_column(column, justify="right" if number else "left", no_wrap=number)
        whole, *rest = self.rows
        above: list[str] = []       # names of the modules that hold this row's, which need not be said again
        for row in rest:
            above[row.depth - 1:] = [row.name]
            name = row.name.removeprefix(f"{above[-2]}.") if row.depth > 1 else row.name
            shape = "" if row.shape is None else _in_words(row.shape)
            table.add_row("  " * (row.depth - 1) + name, row.kind, shape, f"{row.parameters:,}", f"{row.flops:,}",
                          end_section=row is rest[-1])
        table.add_row("all", whole.kind, "" if whole.shape is None else _in_words(whole.shape), f"{whole.parameters:,}",
                      f"{whole.flops:,}")
        return table

    def __str__(self) -> str:
        from rich.console import Console
        console = Console(width=160, highlight=False)
        with console.capture() as captured:
            console.print(self)
        return captured.get().rstrip()


def summarize(model: Module, *inputs, depth: int = 1, **settings) -> Summary:
    """What `model` is made of, and what one forward pass, model(*inputs, **settings), takes.

    The pass is really made and traced, without gradients; the model stays as it is.

    Args:
        depth: modules so far below the model get a row of their own.

    Raises:
        RuntimeError: a trace is running already.
    """
    with no_grad(), trace.recording() as record:
        model(*inputs, **settings)
    visits: dict[int, list[trace.Visit]] = {}
    for visit in record.visits:
        visits.setdefault(id(visit.module), []).append(visit)
    rows = []
    for name, module, below in _tree(model):
        if below <= depth:
            made = visits.get(id(module), [])
            work = {number for visit in made for number in visit.operations}
            rows.append(Row(name, type(module).__name__, below, made[-1].shape if made else None,
                            sum(p.data.size for p in module.parameters()), sum(record.operations[i].flops for i in work)))
    return Summary(tuple(rows))


def _tree(model: Module):
    """(dotted name, module, how far below the model) of the model and all below it, each once."""
    depths = {id(model): 0}
    for name, module in model.named_modules():
        for _, child in module.named_children():
            depths.setdefault(id(child), depths[id(module)] + 1)
        yield name, module, depths[id(module)]


def _in_words(shape: tuple) -> str:
    """(5, 3), or (5, 3), (5,) for the shapes of several tensors."""
    return ", ".join(map(_in_words, shape)) if any(isinstance(size, tuple) for size in shape) else str(shape)
