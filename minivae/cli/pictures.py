"""The commands that draw with a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from minivae.cli.options import Name, checkpoint_option, class_of, device_option, images_for


@click.command()
@click.argument("run", type=Name())
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.option("--label", metavar="CLASS", help="The class, by name or number, of all of them, of a run with "
              "labels.  [default: the classes in turn]")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same samples.")
@click.option("--out", type=Name(), metavar="FILE", help="The picture.  [default: RUN/samples.png]")
@checkpoint_option
@device_option
def sample(run: str, count: int, label: str | None, seed: int, out: str | None, which: str, device: str) -> None:
    """Draw samples from the model of RUN, a folder that training wrote.

    \b
    Examples:
      minivae sample runs/digits-ff-1
      minivae sample runs/digits-ff-1 --count 400 --seed 7 --out many.png
      minivae sample few --label 7
    """
    from minivae.estimator import VAE
    from minivae.pictures import grids

    trained = VAE.load(run, device, which)
    named = class_of(trained, run, label)
    samples = trained.sample(count, named, seed=seed)
    path = out or Path(run) / "samples.png"
    grids.save(grids.square(samples), path)
    click.echo(f"{count} samples in {path}")


@click.command()
@click.argument("run", type=Name())
@click.argument("images", nargs=-1, type=Name())
@click.option("--count", type=click.IntRange(1, 10_000),
              help="How many test images, where no IMAGES are named.  [default: 50, or all where they are fewer]")
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")
@click.option("--out", type=Name(), metavar="FILE", help="The picture.  [default: RUN/reconstructions.png]")
@checkpoint_option
@device_option
def reconstruct(run: str, images: tuple[str, ...], count: int | None, data: str | None, out: str | None, which: str,
                device: str) -> None:
    """Draw images over their reconstructions by the model of RUN.

    IMAGES are files of pictures, which are brought to the model's size as those of its training were, folders of them, IDX
    files of many, or test:7, train:7: images, counted from 0, of the data that RUN was trained on. Without IMAGES, the
    first test images.

    \b
    Examples:
      minivae reconstruct runs/digits-ff-1
      minivae reconstruct runs/digits-ff-1 seven.png test:0 --out some.png
    """
    from minivae.cli import chosen
    from minivae.errors import UsageError
    from minivae.estimator import VAE
    from minivae.pictures import drawing, grids

    if images and count:
        raise UsageError("IMAGES says which images, --count how many of the test images: leave one out")
    if images:
        chosen.check_data(images, data)
    trained = VAE.load(run, device, which)
    if images:
        shown = chosen.images(trained, run, images, data)[1]
    else:
        name = data or trained.settings.data
        shown = images_for(trained.model, run, trained.settings, data).test_images
        if not len(shown):
            raise UsageError(f"{name} has no test images: name others with --data, or some as IMAGES")
        if count is not None and count > len(shown):
            raise UsageError(f"--count is {count}, but {name} has {len(shown)} test images; take at most {len(shown)}")
        shown = shown[:count or drawing.PAIRS]
    path = out or Path(run) / "reconstructions.png"
    grids.save(drawing.reconstructions(trained.model, shown), path)
    click.echo(f"{len(shown)} images and their reconstructions in {path}")
