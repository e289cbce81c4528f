"""What the page of a run costs its training.

    python bench/page.py [--arch ff] [--data digits] [--epochs 60] [--device auto]

Trains with the defaults of `minivae train`, once, and keeps the page as that does, in a folder that is removed. Prints what
each page took, what they took of the training's time (following.SHARE is allowed), and how fast the epochs after a page were
beside the others, as a page might cost those by what it throws out of the caches.
"""

from __future__ import annotations

import sys
import tempfile
import time

import needs

needs.require(__file__, __doc__)

import click  # noqa: E402
import numpy as np  # noqa: E402

from minivae import data, fitting  # noqa: E402
from minivae.errors import MinivaeError  # noqa: E402
from minivae.page.following import Following  # noqa: E402
from minivae.runs import Run  # noqa: E402
from minivae.runs.journal import Journal  # noqa: E402


class Watch:
    """Hears of each epoch after the page has: what the page took of it, and how fast the epoch was."""

    def __init__(self, page: Following):
        self.page, self.spent, self.speeds = page, [0.0], []

    def progress(self, images: int, cost: float) -> None:
        """Nothing."""

    def epoch(self, epoch) -> None:
        """Note both."""
        self.spent.append(self.page.spent)
        self.speeds.append(epoch.images_per_second)


@click.command()
@click.option("--arch", default="ff")
@click.option("--data", "name", default="digits")
@click.option("--epochs", type=int)
@click.option("--device", default="auto")
def main(arch: str, name: str, epochs: int | None, device: str) -> None:
    trainer = fitting.prepare({"arch": arch, "epochs": epochs}, data.load(name), device, print)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(trainer.settings, f"{folder}/run")
        trainer.journal = Journal(run)
        page = Following(trainer, run)
        watch, began = Watch(page), time.perf_counter()
        fitted = fitting.train(trainer, listeners=[page, watch])
        took = time.perf_counter() - began
        before = page.spent
        page.finish(fitted.score)
        size = page.path.stat().st_size
    each = np.diff(watch.spent)
    after, speeds = np.flatnonzero(each[:-1]) + 1, np.array(watch.speeds)
    print(f"pages: {page.written}, of {size:,} bytes; seconds: {', '.join(f'{s:.2f}' for s in each[each > 0]) or 'none'}; "
          f"the last {page.spent - before:.2f}")
    print(f"while training: {before:.2f} s of {took:.1f} s, {before / took:.2%}; with the last {page.spent / took:.2%}")
    if len(after):
        others = np.delete(speeds, after)
        print(f"epochs after a page: {np.median(speeds[after]):,.0f} images/s; the others: {np.median(others):,.0f} "
              f"({np.percentile(others, 10):,.0f} - {np.percentile(others, 90):,.0f})")


if __name__ == "__main__":
    try:
        main()
    except MinivaeError as error:
        sys.exit(str(error))
