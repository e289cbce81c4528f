"""The commands that draw with a trained model."""

from __future__ import annotations

import click

from minivae.cli.options import Name, device_option


@click.command()
@click.argument("run", type=Name())
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.option("--label", type=int, help="The class of all of them, of a run with labels.  [default: the classes in turn]")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same samples.")
@click.option("--out", type=Name(), metavar="FILE", help="The picture.  [default: RUN/samples.png]")
@device_option
def sample(run: str, count: int, label: int | None, seed: int, out: str | None, device: str) -> None:
    """Draw samples from the model of RUN, a folder that training wrote."""
    from minivae import drawing, pictures
    from minivae.device import select
    from minivae.errors import UsageError
    from minivae.runs import Run

    trained = Run(run)
    model, _ = trained.load(select(device)[0])
    if label is not None and not model.classes:
        raise UsageError(f"--label is {label}, but the model of {run} knows of no classes, since it was trained without "
                         "--labels: leave it out")
    path = out or trained.folder / "samples.png"
    pictures.save(drawing.samples(model, count, seed, label), path)
    click.echo(f"{count} samples in {path}")


@click.command()
@click.argument("run", type=Name())
@click.option("--count", type=click.IntRange(1, 10_000),
              help="How many test images.  [default: 50, or all where they are fewer]")
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")
@click.option("--out", type=Name(), metavar="FILE", help="The picture.  [default: RUN/reconstructions.png]")
@device_option
def reconstruct(run: str, count: int | None, data: str | None, out: str | None, device: str) -> None:
    """Draw test images over their reconstructions by the model of RUN."""
    from minivae import data as sets
    from minivae import drawing, pictures
    from minivae.device import select
    from minivae.errors import UsageError
    from minivae.runs import Run

    trained = Run(run)
    model, settings = trained.load(select(device)[0])
    dataset = sets.load(data or settings.data)
    if dataset.image_shape != model.image_shape:
        raise UsageError(f"the model of {run} takes images of {model.image_shape}, but {data or settings.data} holds "
                         f"{dataset.image_shape}")
    there = len(dataset.test_images)
    if count is not None and count > there:
        raise UsageError(f"--count is {count}, but {data or settings.data} has {there} test images; take at most {there}")
    path = out or trained.folder / "reconstructions.png"
    shown = dataset.test_images[:count or drawing.PAIRS]
    pictures.save(drawing.reconstructions(model, shown), path)
    click.echo(f"{len(shown)} images and their reconstructions in {path}")
