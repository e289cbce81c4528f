"""The command that trains."""

from __future__ import annotations

from pathlib import Path

import click

from minivae.cli.options import ARCHITECTURES, LIKELIHOODS, OPTIMIZERS, SCHEDULES, SEMI, Name, Sizes, device_option


@click.command()
@click.option("--arch", type=click.Choice(ARCHITECTURES), default="ff", show_default=True,
              help="ff: feed-forward, dense layers only; conv: convolutional.")
@click.option("--data", type=Name(), default="digits", show_default=True, metavar="NAME|PATH",
              help="digits (built in), mnist, fashion-mnist, or a folder of IDX files.")
@click.option("--epochs", type=int, help="Passes over the training images.  [default: 60 (ff), 30 (conv); 10 for 20,000 "
              "images and more]")
@click.option("--batch-size", type=int, help="Images a step.  [default: 100; for 20,000 images and more 1000 (ff), 128 (conv)]")
@click.option("--fit-batch", is_flag=True, help="Where the memory does not do for the batch size, take the largest for which it "
              "does.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="rmsprop", show_default=True, metavar="NAME",
              help="One of those that `minivae optimizers` lists; rmsprop is the rescaled, centred one with Nesterov's "
              "momentum.")
@click.option("--learning-rate", type=float, help="The schedule's highest.  [default: what `minivae optimizers` "
              "lists; rmsprop with ff 0.003, on 20,000 images and more 0.002]")
@click.option("--schedule", type=click.Choice(SCHEDULES), help="How the learning rate goes on; cosine ends at 0, plateau "
              "halves it where the training cost no longer falls.  [default: cosine; ff on 20,000 images and more constant]")
@click.option("--warm-up", type=float, metavar="EPOCHS", help="Let the learning rate rise over so many at the start.  "
              "[default: 0]")
@click.option("--rescale", type=float, metavar="NORM", help="Rescale gradients whose global norm is larger; 0 for never.  "
              "[default: rmsprop 5, others 0]")
@click.option("--clip", type=float, metavar="SIZE", help="Clip every element of the gradient to +-SIZE; 0 for none.  "
              "[default: 0]")
@click.option("--weight-decay", type=float, metavar="FACTOR", help="Decoupled for adamw, lion and lamb, else a part of the "
              "gradient.  [default: adamw and lamb 0.01, others 0]")
@click.option("--ema", type=float, metavar="DECAY", help="Evaluate and keep an exponential moving average of the weights "
              "in their place; 0.999, say.  [default: 0, none]")
@click.option("--hidden", type=Sizes("512,512,256"), metavar="SIZES",
              help="Sizes of the encoder's dense layers.  [default: 512,512,256 (ff), 512 (conv)]")
@click.option("--channels", type=Sizes("64,128"), metavar="SIZES",
              help="Channels of the encoder's convolutions, each with a pool by 2 (conv).  [default: 64,128]")
@click.option("--code", type=int, help="Numbers in a code.  [default: 384 (ff), 512 (conv)]")
@click.option("--likelihood", type=click.Choice(LIKELIHOODS), default="squared-error", show_default=True,
              help="What an image costs, given its reconstruction.")
@click.option("--sigma", type=float, metavar="SIGMA", help="The gaussian's standard deviation of a pixel.  [default: learned]")
@click.option("--binarize", is_flag=True, help="Draw every pixel black or white, with its value as the probability of white, "
              "anew at every step (bernoulli).")
@click.option("--beta", type=float, default=1.0, show_default=True, help="Factor of the KL in what is minimized; the costs "
              "that are reported have it whole.")
@click.option("--kl-warm-up", type=float, metavar="EPOCHS", help="Let beta rise from 0 over so many at the start.  "
              "[default: ff a sixth of the epochs; 0 with conv, --labels, or 20,000 images and more]")
@click.option("--free-bits", type=float, metavar="NATS", help="What the KL of each number of the code, averaged over a batch, "
              "has for free.  [default: 0]")
@click.option("--samples", type=int, default=1, show_default=True, help="Codes an image; from 2 on the importance-weighted "
              "bound is minimized (Burda et al. 2016), once the KL warm-up is over.")
@click.option("--labels", type=int, metavar="COUNT", help="Train a semi-supervised model: so many training images, evenly of "
              "each class, keep their labels; 0 for none, or up to all.")
@click.option("--semi", type=click.Choice(SEMI), default="shared", show_default=True, help="shared: classifier and codes "
              "share the encoder; m2: the class is a latent variable (Kingma et al. 2014), every step takes all classes of "
              "every image.")
@click.option("--label-weight", type=float, default=500.0, show_default=True, help="Factor of the labelled images' "
              "cross-entropy.")
@click.option("--label-kl", type=float, help="Factor of the KL of unlabelled images' predicted classes from the uniform "
              "distribution.  [default: shared 0, m2 1]")
@click.option("--consistency", type=float, metavar="FACTOR", help="Of the cost of classes that change where an image is moved by "
              "--shift pixels or mirrored; rises over the first epoch.  [default: 0]")
@click.option("--shift", type=int, metavar="PIXELS", help="How far images are moved at most, each way, for --consistency.  "
              "[default: 0]")
@click.option("--mirror", is_flag=True, help="Mirror half of them left to right, for --consistency.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same run; of the labels' choice, too.")
@device_option
@click.option("--out", type=Name(), metavar="FOLDER", help="The run folder.  [default: runs/<data>-<arch>-<number>]")
def train(device: str, out: str | None, fit_batch: bool, **options) -> None:
    """Train a VAE.

    Leaves a run folder with the checkpoint, the settings, the metrics of every epoch and pictures.

    \b
    Examples:
      minivae train --arch ff
      minivae train --arch ff --data fashion-mnist --epochs 20 --device cuda
      minivae train --labels 100 --semi m2
      minivae train --hidden 300,300 --code 40 --likelihood bernoulli --binarize
    """
    from minivae import data, drawing, fitting
    from minivae.report import last_line
    from minivae.runs import Run

    dataset = data.load(options["data"])
    if Path(options["data"]).is_dir() and options["data"] not in data.NAMES:
        options["data"] = str(Path(options["data"]).resolve())      # the run can then be used from anywhere
    trainer = fitting.prepare(options, dataset, device, say=click.echo, smaller_batch=fit_batch)
    trainer.run = run = Run.create(trainer.settings, out)
    click.echo(f"{fitting.describe(trainer)}; into {run.folder}")
    try:
        fitted = fitting.train(trainer)
        drawing.all_of(run, trainer.model, dataset, trainer.settings.seed)
    except BaseException as error:
        if run.discard_unless_saved():
            error.add_note(f"{run.folder} keeps the model after {trainer.saved_epoch} of {trainer.settings.epochs} epochs: "
                           f"`minivae sample {run.folder}` and `minivae reconstruct {run.folder}` draw with it")
        raise
    click.echo(f"fixed-point statistics after {fitted.passes.count} passes over the training images; "
               f"pictures and checkpoint in {run.folder}")
    click.echo(last_line(fitted.score, fitted.seconds))
