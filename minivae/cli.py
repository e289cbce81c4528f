"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from minivae import __version__
from minivae.errors import MinivaeError

# Names that the command line offers, written out here so that --help does not load the library.
ARCHITECTURES = ("ff",)
OPTIMIZERS = ("sgd", "rmsprop", "adam")
SCHEDULES = ("constant", "cosine")
LIKELIHOODS = ("squared-error", "bernoulli")
LARGE = 20_000      # training images from which on the defaults are those for large data

device_option = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
                             help="Where to compute; auto takes a working GPU, else the CPU.")


class Sizes(click.ParamType):
    """Whole numbers with commas between them."""

    name = "sizes"

    def convert(self, value, param, ctx):
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of sizes such as 512,512,256", param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="minivae")
def cli() -> None:
    """Train variational autoencoders on images, and look at what they learned."""


@cli.command()
@click.option("--arch", type=click.Choice(ARCHITECTURES), default="ff", show_default=True, help="Architecture.")
@click.option("--data", default="digits", show_default=True, metavar="NAME|PATH",
              help="digits (built in), mnist, fashion-mnist, or a folder of IDX files.")
@click.option("--epochs", type=int, help="Passes over the training images.  [default: 60; 10 for 20,000 images and more]")
@click.option("--batch-size", type=int, help="Images a step.  [default: 100; 1000 for 20,000 images and more]")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="rmsprop", show_default=True,
              help="rmsprop is the rescaled, centred one with Nesterov's momentum.")
@click.option("--learning-rate", type=float, default=1e-3, show_default=True, help="At the start.")
@click.option("--schedule", type=click.Choice(SCHEDULES), default="cosine", show_default=True,
              help="How the learning rate goes on; cosine ends at 0.")
@click.option("--hidden", type=Sizes(), default="512,512,256", show_default=True, metavar="SIZES",
              help="Sizes of the encoder's layers; the decoder has them reversed.")
@click.option("--code", type=int, default=384, show_default=True, help="Numbers in a code.")
@click.option("--likelihood", type=click.Choice(LIKELIHOODS), default="squared-error", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same run.")
@device_option
@click.option("--out", metavar="FOLDER", help="The run folder.  [default: runs/<data>-<arch>-<number>]")
def train(device: str, out: str | None, epochs: int | None, batch_size: int | None, **options) -> None:
    """Train a VAE.

    Leaves a run folder with the checkpoint, the settings, the metrics of every epoch and three pictures.

    \b
    Examples:
      minivae train --arch ff
      minivae train --arch ff --data fashion-mnist --epochs 20 --device cuda
    """
    from minivae import data, kernels, training
    from minivae.device import select
    from minivae.report import TerminalReport, last_line
    from minivae.runs import Run, Settings

    settings = Settings(epochs=1 if epochs is None else epochs, batch_size=2 if batch_size is None else batch_size,
                        **options)
    dataset = data.load(settings.data)
    large = len(dataset.train_images) >= LARGE
    if epochs is None:
        settings = replace(settings, epochs=10 if large else 60)
    if batch_size is None:
        settings = replace(settings, batch_size=min(1000 if large else 100, len(dataset.train_images)))
    training.check(settings, dataset)
    where, why = select(device)
    click.echo(f"device: {where.describe()}; {why}" if device == "auto" else f"device: {where.describe()}")
    kernels.prepare(where)
    trainer = training.Trainer(settings, dataset, where)
    trainer.run = run = Run.create(settings, out)
    click.echo(f"{settings.arch} with {trainer.flat.count:,} parameters on {len(dataset.train_images):,} images of "
               f"{settings.data}; into {run.folder}")
    with TerminalReport(settings.epochs, trainer.steps * settings.batch_size) as report:
        seconds = trainer.train(report)
    score, passes = trainer.finish()
    training.draw(run, trainer.model, dataset, settings.seed)
    click.echo(f"fixed-point statistics after {passes.count} passes over the training images; "
               f"pictures and checkpoint in {run.folder}")
    click.echo(last_line(score, seconds))


@cli.command()
@click.argument("run", type=click.Path())
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same samples.")
@click.option("--out", metavar="FILE", help="The picture.  [default: RUN/samples.png]")
@device_option
def sample(run: str, count: int, seed: int, out: str | None, device: str) -> None:
    """Draw samples from the model of RUN, a folder that training wrote."""
    from minivae import pictures, training
    from minivae.device import select
    from minivae.runs import Run

    model, _ = Run(run).load(select(device)[0])
    path = out or Run(run).folder / "samples.png"
    pictures.save(training.draw_samples(model, count, seed), path)
    click.echo(f"{count} samples in {path}")


@cli.command()
@click.argument("run", type=click.Path())
@click.option("--count", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many test images.")
@click.option("--data", metavar="NAME|PATH", help="Other images than the run's own.")
@click.option("--out", metavar="FILE", help="The picture.  [default: RUN/reconstructions.png]")
@device_option
def reconstruct(run: str, count: int, data: str | None, out: str | None, device: str) -> None:
    """Draw test images over their reconstructions by the model of RUN."""
    from minivae import data as sets
    from minivae import pictures, training
    from minivae.device import select
    from minivae.errors import UsageError
    from minivae.runs import Run

    model, settings = Run(run).load(select(device)[0])
    dataset = sets.load(data or settings.data)
    if dataset.image_shape != model.image_shape:
        raise UsageError(f"the model of {run} takes images of {model.image_shape}, but {data} holds {dataset.image_shape}")
    path = out or Run(run).folder / "reconstructions.png"
    shown = dataset.test_images[:count]
    pictures.save(training.draw_reconstructions(model, shown), path)
    click.echo(f"{len(shown)} images and their reconstructions in {path}")


def main() -> None:
    """The entry point: errors that the user can mend are one line, without a trace."""
    try:
        cli(standalone_mode=False)
    except MinivaeError as error:
        click.echo(f"minivae: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("minivae: stopped", err=True)
        sys.exit(130)
