"""The commands that turn images into codes, and codes into images."""

from __future__ import annotations

from pathlib import Path

import click

from minivae.cli.options import Name, checkpoint_option, class_of, device_option

FOLDER = "folder"       # in place of a file's ending
MOST = {".png": 10_000, ".gif": 1000, ".webp": 1000}    # images in one file, where all of them are shown


@click.command()
@click.argument("run", type=Name())
@click.argument("images", nargs=-1, required=True, type=Name())
@click.option("--sample", is_flag=True, help="Also draw a code for each image: z, which decode then takes in place of mu.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same draws.")
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other data than the run's own for test:7 and the like.")
@click.option("--out", type=Name(), metavar="FILE", help="An .npz file.  [default: RUN/codes.npz]")
@checkpoint_option
@device_option
def encode(run: str, images: tuple[str, ...], sample: bool, seed: int, data: str | None, out: str | None,
           which: str, device: str) -> None:
    """Write the codes of images by the model of RUN into an .npz file.

    IMAGES are files of pictures of any size, folders of them, IDX files of many, or test:7, train:7: images, counted
    from 0, of the data that RUN was trained on; test and train are all of them.

    The file holds names (count), mu and sigma (count, code), the means and standard deviations of the codes, and of a run
    with labels probabilities (count, classes); the codes are then those under the most probable class.

    \b
    Examples:
      minivae encode runs/digits-ff-1 seven.png eight.png --out codes.npz
      minivae encode runs/digits-ff-1 test --out test.npz
      python -c "import numpy; print(numpy.load('codes.npz')['mu'])"
    """
    import numpy as np

    from minivae import apply, codes
    from minivae.cli import chosen
    from minivae.estimator import VAE

    path = out or Path(run) / "codes.npz"
    codes.check_name(path)
    chosen.check_data(images, data)
    trained = VAE.load(run, device, which)
    names, found = chosen.images(trained, run, images, data)
    mu, sigma = trained.encode(found, sigma=True)
    codes.write(path, names=np.array(names), mu=mu, sigma=sigma,
                z=apply.draw(trained.model, mu, sigma, seed) if sample else None,
                probabilities=trained.classify(found, probabilities=True) if trained.model.classes else None)
    click.echo(f"{len(names)} codes of {mu.shape[1]} numbers in {path}")


@click.command()
@click.argument("run", type=Name())
@click.argument("codes", type=Name())
@click.option("--label", metavar="CLASS", help="The class, by name or number, of all of them, of a run with "
              "labels.  [default: each one's most probable, as CODES has it]")
@click.option("--out", type=Name(), metavar="FILE|FOLDER", help="*.png, a picture of all; *.gif or *.webp, an animation; "
              "*.npz; or a new folder of a picture each.  [default: RUN/decoded.png]")
@checkpoint_option
@device_option
def decode(run: str, codes: str, label: str | None, out: str | None, which: str, device: str) -> None:
    """Draw the images of codes by the model of RUN.

    CODES is an .npz file with an array z or mu of shape (count, code), as encode leaves it, or an .npy file of one. As
    .npz, the images are an array images (count, height, width, channels) of floats from 0 to 1.

    \b
    Examples:
      minivae decode runs/digits-ff-1 codes.npz --out decoded.png
      minivae decode runs/digits-ff-1 codes.npz --out pictures/
      minivae decode few mine.npy --label 7 --out images.npz
    """
    from minivae import codes as files
    from minivae.errors import UsageError
    from minivae.estimator import VAE

    path = out or str(Path(run) / "decoded.png")
    kind = _kind(path)
    trained = VAE.load(run, device, which)
    named = class_of(trained, run, label)
    found, probabilities = files.read(codes, trained.model.code)
    if len(found) > (most := MOST.get(kind, len(found))):
        raise UsageError(f"{codes} holds {len(found)} codes, but a {kind} file can show {most}: take --out with a name that "
                         "ends in .npz, or a folder's")
    if named is None and trained.model.classes:
        if probabilities is None:
            raise UsageError(f"{codes} holds no probabilities of classes, and the model of {run} decodes a code under a "
                             f"class: say which with --label, 0 to {trained.model.classes - 1}")
        if probabilities.shape != (len(found), trained.model.classes):
            raise UsageError(f"{codes} holds probabilities of shape {probabilities.shape}, but its codes need "
                             f"({len(found)}, {trained.model.classes}): encode the images with this run")
        named = probabilities.argmax(1)
    images = trained.decode(found, named)
    _write(images, path, kind)
    click.echo(f"{len(images)} decoded images in {path}")


def _kind(path: str) -> str:
    """The ending of a file's name, or FOLDER.

    Raises:
        UsageError: an ending that stands for nothing here.
    """
    from minivae.errors import UsageError
    from minivae.pictures import animations

    ending = Path(path).suffix.lower()
    if path.endswith("/") or not ending or Path(path).is_dir():
        return FOLDER
    if ending not in (".png", ".npz", *animations.FORMATS):
        raise UsageError(f"{path} ends in none of .png, .gif, .webp and .npz: choose such a name, or end it in / for a "
                         "folder")
    return ending


def _write(images, path: str, kind: str) -> None:
    from minivae import codes, files
    from minivae.pictures import animations, drawing, grids

    if kind == ".npz":
        codes.write(path, images=images)
    elif kind == ".png":
        grids.save(grids.square(images), path)
    elif kind != FOLDER:
        animations.save(drawing.frames(images[:, None]), path)
    else:
        with files.new_folder(path) as folder:
            for i, image in enumerate(images):
                grids.grid(image[None], columns=1, scale=1).save(folder / f"{i:0{len(str(len(images) - 1))}}.png")
