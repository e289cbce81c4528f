"""The command that draws given images in the style of theirs, in every class."""

from __future__ import annotations

from pathlib import Path

import click

from minivae.cli.options import Name, checkpoint_option, device_option, require_classes

MOST = 10_000       # images in a picture


@click.command()
@click.argument("run", type=Name())
@click.argument("images", nargs=-1, required=True, type=Name())
@click.option("--out", type=Name(), metavar="FILE", help="The picture.  [default: RUN/transfer.png]")
@checkpoint_option
@device_option
def transfer(run: str, images: tuple[str, ...], out: str | None, which: str, device: str) -> None:
    """Draw images in every class, each in its own style, by the model of RUN.

    RUN was trained with --labels. IMAGES are files of pictures of any size, folders of them, IDX files of many, or test:7,
    train:7: images, counted from 0, of the data that RUN was trained on. The picture has a row an image: itself, as the model
    takes it, then what has its code in each class in turn.

    \b
    Examples:
      minivae transfer runs/digits-ff-1 seven.png
      minivae transfer runs/digits-ff-1 seven.png test:0 --out styles.png
    """
    from minivae.cli import chosen
    from minivae.errors import UsageError
    from minivae.estimator import VAE
    from minivae.pictures import drawing, grids

    trained = VAE.load(run, device, which)
    model = trained.model
    require_classes(trained, run)
    names, found = chosen.images(trained, run, images)
    if len(found) > (most := max(1, MOST // (model.classes + 1))):
        raise UsageError(f"there are {len(found)} images, but a picture can have {most} rows: name fewer")
    path = out or Path(run) / "transfer.png"
    grids.save(drawing.transfer(model, found), path)
    click.echo(f"{len(names)} image{'s' if len(names) > 1 else ''} in {model.classes} classes in {path}")
