"""The commands that draw with a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from minivae.cli.options import Name, checkpoint_option, device_option, images_for


@click.command()
@click.argument("run", type=Name())
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.option("--label", type=int, help="The class of all of them, of a run with labels.  [default: the classes in turn]")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same samples.")
@click.option("--out", type=Name(), metavar="FILE", help="The picture.  [default: RUN/samples.png]")
@checkpoint_option
@device_option
def sample(run: str, count: int, label: int | None, seed: int, out: str | None, which: str, device: str) -> None:
    """Draw samples from the model of RUN, a folder that training wrote."""
    from minivae import pictures
    from minivae.errors import UsageError
    from minivae.estimator import VAE

    trained = VAE.load(run, device, which)
    if label is not None and not trained.model.classes:
        raise UsageError(f"--label is {label}, but the model of {run} knows of no classes, since it was trained without --labels: "
                         "leave it out")
    samples = trained.sample(count, label, seed=seed)
    path = out or Path(run) / "samples.png"
    pictures.save(pictures.square(samples), path)
    click.echo(f"{count} samples in {path}")


@click.command()
@click.argument("run", type=Name())
@click.option("--count", type=click.IntRange(1, 10_000),
              help="How many test images.  [default: 50, or all where they are fewer]")
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")
@click.option("--out", type=Name(), metavar="FILE", help="The picture.  [default: RUN/reconstructions.png]")
@checkpoint_option
@device_option
def reconstruct(run: str, count: int | None, data: str | None, out: str | None, which: str, device: str) -> None:
    """Draw test images over their reconstructions by the model of RUN."""
    from minivae import drawing, pictures
    from minivae.errors import UsageError
    from minivae.estimator import VAE

    trained = VAE.load(run, device, which)
    model, settings = trained.model, trained.settings
    dataset = images_for(model, run, data or settings.data)
    there = len(dataset.test_images)
    if count is not None and count > there:
        raise UsageError(f"--count is {count}, but {data or settings.data} has {there} test images; take at most {there}")
    path = out or Path(run) / "reconstructions.png"
    shown = dataset.test_images[:count or drawing.PAIRS]
    pictures.save(drawing.reconstructions(model, shown), path)
    click.echo(f"{len(shown)} images and their reconstructions in {path}")
