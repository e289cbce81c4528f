"""What the person at the terminal or the notebook sees: a progress bar, and a line an epoch."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from minivae.evaluation.evaluate import Score
from minivae.training.epochs import Epoch


class _Speed(ProgressColumn):
    """Images a second."""

    def render(self, task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f} images/s")


class _Output(Console):
    """A terminal, a file or a pipe; once nobody takes what is printed, no more is, and `lost` says so."""

    lost = False

    def print(self, *objects, **options) -> None:
        try:
            super().print(*objects, **options)
        except OSError:     # a full disk, say
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:       # in place of rich's own, which ends the process
        self.quiet = self.lost = True


class TerminalReport:
    """Follows a training on the terminal or below a notebook's cell; without either (a pipe, a file) it writes the lines
    only.

    Args:
        epochs: how many there will be.
        images: how many images all of them show.
        done: epochs that are over already.
    """

    def __init__(self, epochs: int, images: int, done: int = 0):
        self.epochs, self._headed = epochs, False
        self.notebook = Console().is_jupyter
        self.console = _Output(highlight=False, soft_wrap=True, force_jupyter=False)
        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("cost {task.fields[cost]}"),
                            _Speed(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
                            console=self.console, transient=True, disable=not (self.console.is_terminal or self.notebook))
        self.task = self.bar.add_task(f"epoch {min(done + 1, epochs)}/{epochs}", total=images, cost="-")

    def __enter__(self) -> TerminalReport:
        if self.notebook:
            self._shown = _Shown(self.bar)
        else:
            self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        if self.notebook:
            self._shown.remove()
        else:
            self.bar.stop()

    @property
    def lost(self) -> bool:
        """Whether nobody takes what it prints, such as a pipe whose reader has ended."""
        return self.console.lost

    def progress(self, images: int, cost: float) -> None:
        """So many images have been shown so far; the epoch's mean cost is `cost`."""
        self.bar.update(self.task, completed=images, cost=f"{cost:.2f}")
        if self.notebook:
            self._shown.again()

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is over."""
        width, t = len(str(self.epochs)), epoch.test
        if not self._headed:
            self._headed = True
            self.console.print(f"{'epoch':>{2 * width + 1}}  train cost  test cost = reconstruction + KL   images/s"
                               f"{'' if t is None or t.error is None else '  test error'}")
        test = f"{t.total:9.2f} = {t.reconstruction:14.2f} + {t.kl:<6.2f}" if t else f"{'-':>9}{'':26}"
        error = "" if t is None or t.error is None else f"  {t.error:>10.2%}"
        self.console.print(f"{epoch.number:>{max(width, 4 - width)}}/{self.epochs}  {epoch.train_cost:10.2f}  {test} "
                           f"{epoch.images_per_second:8,.0f}{error}")
        self.bar.update(self.task, description=f"epoch {min(epoch.number + 1, self.epochs)}/{self.epochs}")

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False)


class _Shown:
    """Something below a notebook's cell that is drawn anew in its place. (rich's own way takes a package of widgets.)"""

    def __init__(self, what):
        from IPython.display import display

        self.what, self.handle = what, display(what, display_id=True)

    def again(self) -> None:
        """Draw it as it is now."""
        self.handle.update(self.what)

    def remove(self) -> None:
        """Leave nothing in its place."""
        self.handle.update({"text/plain": ""}, raw=True)


class Silence:
    """Follows a training and says nothing."""

    lost = False

    def __enter__(self) -> Silence:
        return self

    def __exit__(self, *_) -> None:
        pass

    def progress(self, images: int, cost: float) -> None:
        """Nothing."""

    def epoch(self, epoch: Epoch) -> None:
        """Nothing."""


def in_use(active: int, code: int) -> str:
    """How much of the code a model uses."""
    return f"{active} of the {code} numbers of the code are in use"


def last_line(score: Score | None, seconds: float) -> str:
    """How a training ends; without test images there is no score."""
    if score is None:
        return f"trained in {seconds:.1f} s"
    error = "" if score.error is None else f", test error {score.error:.2%}"
    return (f"test cost {score.total:.2f} = reconstruction {score.reconstruction:.2f} + KL {score.kl:.2f} nats/image"
            f"{error}, trained in {seconds:.1f} s")
