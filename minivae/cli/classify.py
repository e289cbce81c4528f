"""The command that tells the classes of images."""

from __future__ import annotations

from contextlib import nullcontext

import click

from minivae.cli.options import Name, checkpoint_option, device_option, require_classes


@click.command()
@click.argument("run", type=Name())
@click.argument("images", nargs=-1, required=True, type=Name())
@click.option("--json", "file", type=Name(), metavar="FILE", help="Leave the probabilities of all classes there.")
@checkpoint_option
@device_option
def classify(run: str, images: tuple[str, ...], file: str | None, which: str, device: str) -> None:
    """Tell the classes of images by the model of RUN.

    RUN was trained with --labels. IMAGES are pictures (PNG and the like), which are brought to the model's size as those of
    its training were, folders of them, IDX files of many, or test:7, train:7: images, counted from 0, of the data that RUN
    was trained on; test and train are all of them. Prints a line an image: name, most probable class, its probability.

    \b
    Examples:
      minivae classify runs/digits-ff-1 seven.png
      minivae classify runs/birds-ff-1 garden/
      minivae classify runs/digits-ff-1 test:0 test:1
      minivae classify runs/digits-ff-1 t10k-images-idx3-ubyte.gz --json classes.json
    """
    import json

    from minivae.cli import chosen
    from minivae.estimator import VAE
    from minivae.files import replacing

    trained = VAE.load(run, device, which)
    require_classes(trained, run)
    names, found = chosen.images(trained, run, images)
    classes = trained.model.names_of_classes
    with replacing(file) if file is not None else nullcontext() as out:
        probabilities = trained.classify(found, probabilities=True)
        for name, p in zip(names, probabilities, strict=True):
            click.echo(f"{name}  {classes[p.argmax()]}  {p.max():.4f}")
        if out:
            out.write(json.dumps([{"image": name, "class": int(p.argmax()), "class_name": classes[p.argmax()],
                                   "probabilities": [float(v) for v in p]}
                                  for name, p in zip(names, probabilities, strict=True)], indent=1).encode())
