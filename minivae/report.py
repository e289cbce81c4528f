"""What the person at the terminal sees: a progress bar, and a line an epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn,
                           TimeRemainingColumn)
from rich.text import Text

from minivae.evaluate import Score
from minivae.training import Epoch


class _Speed(ProgressColumn):
    """Images a second."""

    def render(self, task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} images/s")


class TerminalReport:
    """Follows a training on the terminal; without one (a pipe, a file) it writes the lines only.

    Args:
        epochs: how many there will be.
        images: how many images all of them show.
    """

    def __init__(self, epochs: int, images: int):
        self.epochs = epochs
        self.console = Console(highlight=False, soft_wrap=True)
        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("cost {task.fields[cost]}"),
                            _Speed(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
                            console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task = self.bar.add_task(f"epoch 1/{epochs}", total=images, cost="-")

    def __enter__(self) -> TerminalReport:
        self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()

    def progress(self, images: int, cost: float) -> None:
        """So many images have been shown so far; the epoch's mean cost is `cost`."""
        self.bar.update(self.task, completed=images, cost=f"{cost:.2f}")

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is over."""
        width = len(str(self.epochs))
        if epoch.number == 1:
            self.console.print(f"{'epoch':>{2 * width + 1}}  train cost  test cost = reconstruction + KL   images/s"
                               f"{'' if epoch.test.error is None else '  test error'}")
        t = epoch.test
        error = "" if t.error is None else f"  {t.error:>10.2%}"
        self.console.print(f"{epoch.number:>{max(width, 4 - width)}}/{self.epochs}  {epoch.train_cost:10.2f}  {t.total:9.2f} ="
                           f" {t.reconstruction:14.2f} + {t.kl:<6.2f} {epoch.images_per_second:8,.0f}{error}")
        self.bar.update(self.task, description=f"epoch {min(epoch.number + 1, self.epochs)}/{self.epochs}")

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False)


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, which the function that it gives moves on by one of `total`; where that is no terminal, a
    line says what begins."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        console.print(f"{what} ...", soft_wrap=True, markup=False)
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console,
                  transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def last_line(score: Score, seconds: float) -> str:
    """How a training ends."""
    error = "" if score.error is None else f", test error {score.error:.2%}"
    return (f"test cost {score.total:.2f} = reconstruction {score.reconstruction:.2f} + KL {score.kl:.2f} nats/image"
            f"{error}, trained in {seconds:.1f} s")
