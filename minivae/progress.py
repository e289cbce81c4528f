"""A bar for work that is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def counting(what: str, total: int, begins: bool = True) -> Iterator[Callable[..., None]]:
    """A bar on standard error, which the function that it gives moves on by one of `total`, or by as many as it is told.

    Args:
        what: is done, in a few words.
        begins: where that is no terminal, say in a line that it begins.
    """
    console = Console(stderr=True, highlight=False)
    if begins and not console.is_terminal:
        console.print(f"{what} ...", soft_wrap=True, markup=False)
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
                  TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda steps=1: bar.advance(task, steps)


def amount(count: int, what: str) -> str:
    """So many of something, in words.

    Args:
        what: one of them; more have an s.
    """
    return f"{count:,} {what}{'' if count == 1 else 's'}"
