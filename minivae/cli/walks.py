"""The commands that walk through the space of codes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minivae.cli.options import Name, Sizes, checkpoint_option, class_of, device_option, images_for

if TYPE_CHECKING:
    from minivae.estimator import VAE

STEPS, FRAMES = 10, 40      # of a row, and of an animation, where nothing is said
ROWS = 10                   # numbers of the code that are walked along
COUNTED = 10_000            # test images that tell which numbers are active: more make no difference to their order

data_option = click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")


@click.command()
@click.argument("run", type=Name())
@click.argument("a", type=Name())
@click.argument("b", type=Name())
@click.option("--steps", type=click.IntRange(2, 500), metavar="N",
              help=f"Images on the way, both ends included.  [default: {STEPS}; {FRAMES} for an animation]")
@click.option("--spherical", is_flag=True, help="Along the arc between the two codes' directions, not the straight line.")
@click.option("--label", metavar="CLASS", help="The class, by name or number, of all of them, of a run with "
              "labels.  [default: from A's to B's]")
@data_option
@click.option("--out", type=Name(), metavar="FILE",
              help="*.png, a row between A and B, or *.gif or *.webp, an animation.  [default: RUN/interpolation.png]")
@checkpoint_option
@device_option
def interpolate(run: str, a: str, b: str, steps: int | None, spherical: bool, label: str | None, data: str | None,
                out: str | None, which: str, device: str) -> None:
    """Draw the way from one image to another by the model of RUN.

    A and B are files of pictures of any size, or test:7, train:7: images, counted from 0, of the
    data that RUN was trained on; '#7', in quotes, is test:7. What lies between them is decoded from codes between theirs.
    A picture also shows A at its left and B at its right; an animation goes there and back.

    \b
    Examples:
      minivae interpolate runs/digits-ff-1 test:0 test:1
      minivae interpolate runs/digits-ff-1 seven.png test:4 --spherical --out walk.gif
    """
    import numpy as np

    from minivae.cli import chosen
    from minivae.estimator import VAE
    from minivae.pictures import animations, drawing, grids

    path = out or Path(run) / "interpolation.png"
    moving = animations.moves(path)
    chosen.check_data((a, b), data)
    trained = VAE.load(run, device, which)
    named = class_of(trained, run, label)
    ends = [chosen.one(trained, run, name, data) for name in (a, b)]
    steps = steps or (FRAMES if moving else STEPS)
    images = trained.interpolate(*ends, steps, named, spherical=spherical)
    if moving:
        animations.save(drawing.frames(images[:, np.newaxis]), path)
    else:
        grids.save(grids.row([ends[0], *images, ends[1]]), path)
    click.echo(f"{steps} images between {a} and {b} in {path}")


@click.command()
@click.argument("run", type=Name())
@click.argument("image", type=Name(), required=False)
@click.option("--units", type=Sizes("3,0,17"), metavar="NUMBERS",
              help="Which numbers of the code, counted from 0.  [default: the most active over the test images]")
@click.option("--count", type=click.IntRange(1, 1000), metavar="N",
              help=f"How many of the most active.  [default: {ROWS}, or all that are active]")
@click.option("--range", "reach", type=click.FloatRange(0, 100, min_open=True), default=3.0, show_default=True,
              help="Each goes from minus this to this, in standard deviations of the prior.")
@click.option("--steps", type=click.IntRange(2, 500), metavar="N",
              help=f"How many values.  [default: {STEPS + 1}; {FRAMES} for an animation]")
@click.option("--label", metavar="CLASS", help="The class, by name or number, of all images, of a run with "
              "labels.  [default: IMAGE's most probable, or 0]")
@data_option
@click.option("--out", type=Name(), metavar="FILE", help="*.png, a row for each number, or *.gif or *.webp, an animation "
              "with a tile for each.  [default: RUN/traversal.png]")
@checkpoint_option
@device_option
def traverse(run: str, image: str | None, units: tuple[int, ...] | None, count: int | None, reach: float, steps: int | None,
             label: str | None, data: str | None, out: str | None, which: str, device: str) -> None:
    """Draw what single numbers of the code do, by the model of RUN.

    Each number in turn takes values from -3 to 3 while the others stay as they are in the code of IMAGE, a file or a name
    such as test:7 (see interpolate), or at 0, the prior's mean. The numbers are those whose means vary most over the test
    images, the most active first; prints which.

    \b
    Examples:
      minivae traverse runs/digits-ff-1
      minivae traverse runs/digits-ff-1 test:3 --count 20 --out numbers.gif
      minivae traverse runs/digits-ff-1 seven.png --units 3,0,17 --range 2
    """
    import numpy as np

    from minivae.cli import chosen
    from minivae.errors import UsageError
    from minivae.estimator import VAE
    from minivae.pictures import animations, drawing, grids, walks

    path = out or Path(run) / "traversal.png"
    moving = animations.moves(path)
    if units and count:
        raise UsageError("--units says which numbers, --count how many of the most active: leave one out")
    if math.isnan(reach):       # neither below nor above anything, so that click lets it through
        raise UsageError("--range is nan, but must be a number above 0")
    if units:       # which are those of the test images where nobody says it
        chosen.check_data((image or "",), data)
    trained = VAE.load(run, device, which)
    named = class_of(trained, run, label)
    source = None if image is None else chosen.one(trained, run, image, data)
    walked = units or _most_active(trained, run, data, count)
    values = np.linspace(-reach, reach, steps or (FRAMES if moving else STEPS + 1))
    images = walks.traversal(trained.model, source, walked, values, named)
    if moving:
        animations.save(drawing.frames(images.swapaxes(0, 1)), path)
    else:
        grids.save(grids.grid(images.reshape(-1, *images.shape[2:]), columns=images.shape[1]), path)
    click.echo(f"numbers {', '.join(map(str, walked))} of the code, from {-reach:g} to {reach:g}, in {path}")


def _most_active(trained: VAE, run: str, data: str | None, count: int | None) -> list[int]:
    """The numbers of the code whose means vary most over the test images: `count`, or at most ROWS that are active.

    Raises:
        UsageError: the code has fewer numbers, or there are no test images.
        MinivaeError: none is active.
    """
    from minivae import latent
    from minivae.errors import MinivaeError, UsageError

    code = trained.model.code
    if count is not None and count > code:
        raise UsageError(f"--count is {count}, but a code of {run} has {code} numbers; take at most {code}")
    shown = images_for(trained.model, run, trained.settings, data).test_images[:COUNTED]
    if not len(shown):
        raise UsageError(f"{data or trained.settings.data} has no test images: name others with --data, or the numbers with "
                         "--units")
    order, variance = latent.by_activity(trained.encode(shown))
    active = int(latent.is_active(variance).sum())
    if count is None and not active:
        raise MinivaeError(f"no number of the codes of {run} is active: they say nothing of the images (train with a "
                           "smaller --beta or a --kl-warm-up); to look at some all the same, name them with --units")
    return order[:count or min(ROWS, active)].tolist()
