"""The table that `minivae optimizers` prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from minivae.optim import OPTIMIZERS, Optimizer

NOTES = ("g is the gradient after --rescale (limit), --clip and coupled weight decay, in this order; "
         "a <- b means a's new value. lr is what `minivae train` takes, for the models here (rmsprop with ff: 0.003 on few "
         "images, 0.002 on many); in brackets the class's own.")


def show(console: Console, rates: Mapping[str, float]) -> None:
    """The optimizers that `rates` names, each with the rate of training: paper, update and defaults."""
    table = Table(Column("name", no_wrap=True), "paper and update", Column("defaults", no_wrap=True), box=box.SIMPLE_HEAD,
                  padding=(0, 1, 1, 1))
    for name, rate in rates.items():
        kind = OPTIMIZERS[name]
        table.add_row(name, escape(f"{kind.title()}\n{kind.equation()}"),
                      escape("\n".join(_defaults(kind, rate))))
    console.print(table)
    console.print(NOTES, markup=False)


def _defaults(kind: type[Optimizer], rate: float) -> list[str]:
    (_, own), *others = kind.defaults().items()
    of_class = [f"  ({own:g})"] if own != rate else []
    return [f"lr {rate:g}", *of_class, *(f"{key} {value:g}" for key, value in others if value)]
