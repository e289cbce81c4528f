"""The table that `minivae optimizers` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from minivae.optim import OPTIMIZERS

NOTES = ("g is the gradient after --rescale (limit), --clip and coupled weight decay, in this order; "
         "a <- b means a's new value.")


def show(console: Console, names: Sequence[str]) -> None:
    """The optimizers of those names: paper, update and defaults of each."""
    table = Table(Column("name", no_wrap=True), "paper and update", Column("defaults", no_wrap=True), box=box.SIMPLE_HEAD,
                  padding=(0, 1, 1, 1))
    for name in names:
        kind = OPTIMIZERS[name]
        table.add_row(name, escape(f"{kind.title()}\n{kind.equation()}"),
                      "\n".join(f"{key} {value:g}" for key, value in kind.defaults().items() if value))
    console.print(table)
    console.print(NOTES, markup=False)
