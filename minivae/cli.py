"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import click

from minivae import __version__
from minivae.errors import MinivaeError

# Names that the command line offers, written out here so that --help does not load the library.
ARCHITECTURES = ("ff", "conv")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop-plain", "rmsprop-centred", "rmsprop-momentum",
              "rmsprop", "adam", "amsgrad", "adamw", "adamax", "nadam", "radam", "lion", "lamb")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one-cycle", "plateau")
LIKELIHOODS = ("squared-error", "bernoulli")
GPU_ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
# What holds where nothing is said, by architecture: on few images, and from LARGE_COUNT training images on.
LARGE_COUNT = 20_000
SMALL = {"ff": {"epochs": 60, "batch_size": 100}, "conv": {"epochs": 30, "batch_size": 100}}
LARGE = {"ff": {"epochs": 10, "batch_size": 1000, "learning_rate": 2e-3, "schedule": "constant"},
         "conv": {"epochs": 10, "batch_size": 128}}

device_option = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda|cuda:N",
                             help="Where to compute; auto takes a working GPU, else the CPU.")


def announced(name: str):
    """The device of that name; says which it is, and why where the name left it open."""
    from minivae.device import select

    where, why = select(name)
    click.echo(f"device: {where.describe()}; {why}" if name == "auto" else f"device: {where.describe()}")
    return where


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
@click.option("--arch", type=click.Choice(ARCHITECTURES), default="ff", show_default=True,
              help="ff: feed-forward, dense layers only; conv: convolutional.")
@click.option("--data", default="digits", show_default=True, metavar="NAME|PATH",
              help="digits (built in), mnist, fashion-mnist, or a folder of IDX files.")
@click.option("--epochs", type=int, help="Passes over the training images.  [default: 60 (ff), 30 (conv); 10 for 20,000 "
              "images and more]")
@click.option("--batch-size", type=int, help="Images a step.  [default: 100; for 20,000 images and more 1000 (ff), 128 (conv)]")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="rmsprop", show_default=True, metavar="NAME",
              help="One of those that `minivae optimizers` lists; rmsprop is the rescaled, centred one with Nesterov's "
              "momentum.")
@click.option("--learning-rate", type=float, help="The schedule's highest.  [default: the optimizer's own; rmsprop: 0.001, ff "
              "on 20,000 images and more 0.002]")
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
@click.option("--hidden", type=Sizes(), metavar="SIZES",
              help="Sizes of the encoder's dense layers.  [default: 512,512,256 (ff), 512 (conv)]")
@click.option("--channels", type=Sizes(), metavar="SIZES",
              help="Channels of the encoder's convolutions, each with a pool by 2 (conv).  [default: 64,128]")
@click.option("--code", type=int, help="Numbers in a code.  [default: 384 (ff), 512 (conv)]")
@click.option("--likelihood", type=click.Choice(LIKELIHOODS), default="squared-error", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same run.")
@device_option
@click.option("--out", metavar="FOLDER", help="The run folder.  [default: runs/<data>-<arch>-<number>]")
def train(device: str, out: str | None, **options) -> None:
    """Train a VAE.

    Leaves a run folder with the checkpoint, the settings, the metrics of every epoch and three pictures.

    \b
    Examples:
      minivae train --arch ff
      minivae train --arch ff --data fashion-mnist --epochs 20 --device cuda
    """
    from minivae import data, kernels, training
    from minivae.models import ARCHITECTURES as CLASSES
    from minivae.optim import OPTIMIZERS as OPTIMIZERS_BY_NAME
    from minivae.report import TerminalReport, last_line
    from minivae.runs import Run, Settings

    dataset = data.load(options["data"])
    count = len(dataset.train_images)
    if Path(options["data"]).is_dir() and options["data"] not in data.NAMES:
        options["data"] = str(Path(options["data"]).resolve())      # the run can then be used from anywhere
    arch = options["arch"]
    defaults = {**CLASSES[arch].SIZES, **(LARGE if count >= LARGE_COUNT else SMALL)[arch]}
    defaults["batch_size"] = min(defaults["batch_size"], count)
    if options["optimizer"] != "rmsprop":       # what stands above is the best for that one
        defaults["learning_rate"] = OPTIMIZERS_BY_NAME[options["optimizer"]].defaults()["lr"]
    settings = Settings(**{**defaults, **{name: value for name, value in options.items() if value is not None}})
    training.check(settings, dataset)
    where = announced(device)
    kernels.prepare(where)
    trainer = training.Trainer(settings, dataset, where)
    trainer.run = run = Run.create(settings, out)
    click.echo(f"{settings.arch} with {trainer.flat.count:,} parameters on {len(dataset.train_images):,} images of "
               f"{settings.data}; into {run.folder}")
    try:
        with TerminalReport(settings.epochs, trainer.steps * settings.batch_size) as report:
            seconds = trainer.train(report)
        score, passes = trainer.finish()
        training.draw(run, trainer.model, dataset, settings.seed)
    except BaseException:
        if run.discard_unless_saved():
            click.echo(f"minivae: the last checkpoint is in {run.folder} and can be used", err=True)
        raise
    click.echo(f"fixed-point statistics after {passes.count} passes over the training images; "
               f"pictures and checkpoint in {run.folder}")
    click.echo(last_line(score, seconds))


@cli.command()
@click.argument("run", type=click.Path())
@click.option("--count", type=click.IntRange(1, 10_000), default=100, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same samples.")
@click.option("--out", metavar="FILE", help="The picture.  [default: RUN/samples.png]")
@device_option
def sample(run: str, count: int, seed: int, out: str | None, device: str) -> None:
    """Draw samples from the model of RUN, a folder that training wrote."""
    from minivae import pictures, training
    from minivae.device import select
    from minivae.runs import Run

    trained = Run(run)
    model, _ = trained.load(select(device)[0])
    path = out or trained.folder / "samples.png"
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

    trained = Run(run)
    model, settings = trained.load(select(device)[0])
    dataset = sets.load(data or settings.data)
    if dataset.image_shape != model.image_shape:
        raise UsageError(f"the model of {run} takes images of {model.image_shape}, but {data or settings.data} holds "
                         f"{dataset.image_shape}")
    path = out or trained.folder / "reconstructions.png"
    shown = dataset.test_images[:count]
    pictures.save(training.draw_reconstructions(model, shown), path)
    click.echo(f"{len(shown)} images and their reconstructions in {path}")


@cli.command()
@click.option("--arch", type=click.Choice(ARCHITECTURES), default="ff", show_default=True)
@click.option("--image", type=Sizes(), default=(28, 28, 1), metavar="SIZES", help="Height, width, channels.  [default: 28,28,1]")
@click.option("--hidden", type=Sizes(), metavar="SIZES", help="As for train.")
@click.option("--channels", type=Sizes(), metavar="SIZES", help="As for train.")
@click.option("--code", type=int, help="As for train.")
@click.option("--batch-size", type=click.IntRange(1), default=1, show_default=True, help="Images in the forward pass.")
@click.option("--depth", type=click.IntRange(1), default=1, show_default=True, help="2 also lists the parts of the layers.")
@device_option
def summary(arch: str, image: tuple[int, ...], batch_size: int, depth: int, device: str, **sizes) -> None:
    """List the layers of a model.

    Shapes, parameters, and the arithmetic of a forward pass to the cost, which is really made and counted.

    \b
    Examples:
      minivae summary --arch conv
      minivae summary --hidden 512,256 --code 32 --batch-size 100
    """
    from rich.console import Console

    from minivae import models
    from minivae.device import select

    told = {name: value for name, value in sizes.items() if value is not None}
    Console(highlight=False).print(models.summary(arch, image, select(device)[0], batch_size, depth, **told))


@cli.command()
@click.option("--arch", type=click.Choice((*ARCHITECTURES, "both")), default="both", show_default=True)
@click.option("--batch-size", type=int, help="Examples an iteration.  [default: 1000 (ff), 128 (conv)]")
@click.option("--repeat", type=click.IntRange(1), default=10, show_default=True, help="Rounds, each with a sample of all.")
@click.option("--profile", is_flag=True, help="Also say where the time goes, by operation.")
@click.option("--json", "file", metavar="FILE", help="Leave all numbers there.")
@device_option
def bench(arch: str, batch_size: int | None, repeat: int, profile: bool, file: str | None, device: str) -> None:
    """Time a training iteration on the built-in digits.

    The architectures and their matrix products alone take turns in one process, after a warm-up. A GPU is timed by its
    own events. On a CPU, MINIVAE_THREADS sets the number of threads. Nothing else should run meanwhile.

    \b
    Examples:
      minivae bench
      minivae bench --arch conv --profile --device cuda
      minivae bench --batch-size 128 --repeat 30 --json times.json
    """
    import json

    from rich.console import Console

    from minivae import bench_report
    from minivae import bench as measuring
    from minivae.files import replacing

    with replacing(file) if file is not None else nullcontext() as out:     # before anything is timed
        where = announced(device)
        archs = ARCHITECTURES if arch == "both" else (arch,)
        click.echo(f"timing {' and '.join(archs)} in turn; rounds: {repeat} ...")
        report = measuring.measure(archs, where, batch_size=batch_size, repeat=repeat, profiled=profile)
        bench_report.show(Console(highlight=False), report)
        if out:
            out.write(json.dumps(report, indent=1).encode())


@cli.command()
@click.option("--arch", "architectures", multiple=True, type=click.Choice(GPU_ARCHITECTURES),
              help="A GPU's architecture; may be given several times.  [default: all]")
@click.option("--real", type=click.Choice(("float32", "float64")), default="float32", show_default=True)
@click.option("--json", "file", metavar="FILE", help="Leave all numbers there.")
def kernels(architectures: tuple[str, ...], real: str, file: str | None) -> None:
    """Show what NVIDIA's compiler makes of the kernels.

    Registers, shared memory, occupancy and bytes of every kernel, for any GPU architecture: it takes CuPy and NVRTC, but
    no GPU. Exits with 1 where something is wrong with a kernel.

    \b
    Examples:
      minivae kernels --arch sm_90
      minivae kernels --json kernels.json
    """
    import json

    from rich.console import Console

    from minivae import kernel_table
    from minivae.files import replacing
    from minivae.system import default_threads

    with replacing(file) if file is not None else nullcontext() as out:
        report = kernel_table.measure(architectures or GPU_ARCHITECTURES, real, default_threads())
        kernel_table.show(Console(highlight=False), report)
        if out:
            out.write(json.dumps(report, indent=1).encode())
    if report["faults"]:
        sys.exit(1)


@cli.command()
@click.argument("names", nargs=-1, type=click.Choice(OPTIMIZERS), metavar="[NAME]...")
def optimizers(names: tuple[str, ...]) -> None:
    """List the optimizers: update, paper, and what holds where nothing is said.

    \b
    Examples:
      minivae optimizers
      minivae optimizers adam lamb
    """
    from rich.console import Console

    from minivae import optimizer_table

    optimizer_table.show(Console(highlight=False), names or OPTIMIZERS)


@cli.command()
@click.option("--json", "file", metavar="FILE", help="Leave all of it there.")
@device_option
def doctor(file: str | None, device: str) -> None:
    """Say what minivae runs on here and whether it works.

    Runs every kernel on the device and compares with float64 on the CPU, and names the fix for what is wrong. The last
    line is the verdict, and the exit code: 0 where minivae works, 1 where it does not. A bug report should hold all that
    this prints.

    \b
    Examples:
      minivae doctor
      minivae doctor --device cuda --json doctor.json
    """
    import json

    from rich.console import Console

    from minivae import doctor as examination
    from minivae import doctor_report
    from minivae.files import replacing

    with replacing(file) if file is not None else nullcontext() as out:
        report = examination.examine(device)
        doctor_report.show(Console(highlight=False), report)
        if out:
            out.write(json.dumps(report, indent=1).encode())
    if not report["works"]:
        sys.exit(1)


def main() -> None:
    """The entry point: errors that the user can mend are one line, without a trace."""
    try:
        cli(prog_name="minivae", standalone_mode=False)
    except MinivaeError as error:
        click.echo(f"minivae: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        words = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "minivae"
        click.echo(f"minivae: {' '.join(error.format_message().split())} ({words} --help lists what there is)", err=True)
        sys.exit(error.exit_code)
    except MemoryError as error:
        click.echo(f"minivae: out of memory ({' '.join(str(error).split()) or 'no more'}): take a smaller --batch-size, --hidden "
                   "or --code", err=True)
        sys.exit(1)
    except OSError as error:        # a pipe that closed, a full disk behind > FILE
        sys.stdout = None           # or Python would try to flush it once more, and complain
        click.echo(f"minivae: {error.strerror or error} ({error.filename or 'the output'}): choose another place", err=True)
        sys.exit(1)
    except (click.Abort, KeyboardInterrupt):
        click.echo("minivae: stopped", err=True)
        sys.exit(130)
    except Exception as error:      # CUDA's own errors come at any launch, product or copy; ours would be bugs
        from minivae.device import gpu_failure

        failure = gpu_failure(error)
        if failure is None:
            raise
        click.echo(f"minivae: {failure}", err=True)
        sys.exit(failure.exit_code)
