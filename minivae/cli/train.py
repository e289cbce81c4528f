"""The command that trains."""

from __future__ import annotations

import shlex
from functools import partial

import click
from click.core import ParameterSource

from minivae.cli.data_options import as_settings, data_options, of_other_data, reading_of, recorded
from minivae.cli.options import (ARCHITECTURES, LIKELIHOODS, OPTIMIZERS, SCHEDULES, SEMI, Name, Sizes, check_there,
                                 device_option, is_there, say_of)


@click.command()
@click.option("--arch", type=click.Choice(ARCHITECTURES), default="ff", show_default=True,
              help="ff: feed-forward, dense layers only; conv: convolutional.")
@data_options
@click.option("--epochs", type=int, help="Passes over the training images.  [default: 60 (ff), 30 (conv); 10 for 20,000 "
              "images and more]")
@click.option("--batch-size", type=int, help="Images a step.  [default: 100; for 20,000 images and more 1000 (ff), 128 (conv)]")
@click.option("--fit-batch", is_flag=True, help="Where the memory does not do for the batch size, take the largest for which it "
              "does.")
@click.option("--optimizer", type=click.Choice(OPTIMIZERS), default="rmsprop", show_default=True, metavar="NAME",
              help="One of those that `minivae optimizers` lists; rmsprop is the rescaled, centred one with Nesterov's "
              "momentum.")
@click.option("--learning-rate", type=float, help="The schedule's highest.  [default: what `minivae optimizers` "
              "lists; rmsprop with ff 0.003 without --labels, on 20,000 images and more 0.002]")
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
@click.option("--binarize/--no-binarize", default=False, help="Draw every pixel black or white, with its value as the probability of white, "
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
              "--shift pixels, mirrored or partly erased; rises over the first epoch.  [default: 0]")
@click.option("--shift", type=int, metavar="PIXELS", help="How far images are moved at most, each way, for --consistency.  "
              "[default: 0]")
@click.option("--mirror/--no-mirror", default=False, help="Mirror half of them left to right, for --consistency.")
@click.option("--erase", type=int, metavar="PIXELS", help="The side of a square that is erased somewhere in each of them, for "
              "--consistency.  [default: 0]")
@click.option("--local-bn/--no-local-bn", default=False, help="Started on several processes (mpiexec), let each take batch norm's statistics "
              "over its own images, not over the whole batch.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same run; of the labels' choice, too.")
@device_option
@click.option("--out", type=Name(), metavar="FOLDER", help="The run folder.  [default: runs/<data>-<arch>-<number>]")
@click.option("--config", type=Name(), metavar="FILE", help="Settings as TOML, or a run folder, whose run this repeats "
              "exactly; options that are given win. Of other data than its own, how those were read is left out.")
@click.option("--resume", type=Name(), metavar="RUN", help="Go on with a run where it stopped, as if it never had; only --epochs "
              "and --device can change, and with --data the place of the same data.")
@click.option("--save-every", type=click.FloatRange(0), default=60.0, show_default=True, metavar="SECONDS",
              help="How often a checkpoint is written.")
@click.option("--keep", type=click.IntRange(1), default=2, show_default=True, metavar="COUNT",
              help="How many checkpoints are kept beside that of the best epoch.")
@click.option("--tensorboard", is_flag=True, help="Also leave the metrics as event files, in RUN/events.")
@click.option("--page/--no-page", default=True, show_default=True, help="Keep report.html in the run folder: what the model does, "
              "to look at while training goes on and after it.")
@click.pass_context
def train(context: click.Context, device: str, out: str | None, config: str | None, resume: str | None, save_every: float,
          keep: int, tensorboard: bool, page: bool, fit_batch: bool, **options) -> None:
    """Train a VAE.

    PATH is a folder of pictures (also in folders below it), a CSV table of pictures and labels, an .npz or .npy file with
    images (X or x_train, y or y_train, x_test, y_test), an IDX file, a folder of four IDX files, or a name: digits (built in,
    and what is taken where there is no PATH), mnist, fashion-mnist.

    Pictures are PNG, JPEG, WebP, TIFF, BMP, GIF or PPM files of up to 64 million pixels. They are turned as their EXIF tag
    says, transparent pixels are laid on white, and 16 bits scaled to 8. They are decoded once, into the cache folder, which
    keeps up to 32 GiB of them.

    Leaves a run folder with the checkpoints, the settings, the metrics of every epoch, pictures, and report.html, a page that
    shows it all. Ctrl-C finishes the step and writes a checkpoint, from which --resume goes on; docs/runs.md says more. Where
    the cost explodes, training goes back to its last good state and on with 0.3 of its learning rate, up to three times.

    \b
    Examples:
      minivae train --arch ff
      minivae train fashion-mnist --epochs 20 --device cuda
      minivae train holiday-photos --size 32 --grey
      minivae train birds.csv --labels 200
      minivae train --labels 100 --semi m2
      minivae train --hidden 300,300 --code 40 --likelihood bernoulli --binarize
      minivae train --resume runs/digits-ff-1
      minivae train --config runs/digits-ff-1/settings.toml --seed 1
    """
    from minivae.cli import together
    from minivae.errors import UsageError
    from minivae.page.following import Following
    from minivae.parallel import mpi
    from minivae.runs import Run
    from minivae.runs.journal import Journal
    from minivae.stopping import Signals
    from minivae.training import events

    given = {name: value for name, value in options.items()
             if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    given, options = as_settings(given), as_settings(options)
    if resume and (out or config or fit_batch):
        raise UsageError(f"--resume goes on in {resume} with the settings there: leave out "
                         f"{'--out' if out else '--config' if config else '--fit-batch'}")
    if tensorboard:
        events.require()
    world = mpi.world()
    together.require_same_command(world, f"train --resume {resume}" if resume else "train")
    together.only_one_warns(world)
    with Signals(mpi.leads(world)) as signals:
        if resume:
            trainer = _prepared_to_go_on(world, Journal(Run(resume), save_every, keep), given, device, page)
        else:
            told = {**options, **(_of_config(config, given) if config else {}), **given}
            trainer = _prepared(world, told, out, device, fit_batch, lambda run: Journal(run, save_every, keep))
        if trainer:
            _train(trainer, signals, tensorboard, Following if page else None)


def _of_config(config: str, given: dict) -> dict:
    """The settings of a --config, to be used with those that are given.

    Raises:
        UsageError: there is no such file, or its data are no longer where it says and no others are given.
        MinivaeError: the file is damaged.
    """
    from minivae import data
    from minivae.errors import UsageError
    from minivae.runs import settings

    found = settings.read(config)
    name = found.get("data", data.DEFAULT)
    if "data" in given or is_there(name):
        return of_other_data(found, given)
    if name == data.ARRAYS:
        raise UsageError(f"{config} is of a training on arrays, from Python: name images to train on with --data")
    raise UsageError(f"{config} says that the data are in {name}, but there is nothing: write their new place into "
                     f"{settings.file_of(config)}, or name it with --data, and beside it how they are read, such as --size, where that was asked for")


def _prepared(world, told: dict, out: str | None, device: str, fit_batch: bool, journal_of):
    """The trainer of a new run, in a folder of its own."""
    from minivae import data, fitting
    from minivae.parallel import mpi
    from minivae.runs import Run

    say, reading = say_of(world), reading_of(told)
    fitting.check_told(told, device)
    mpi.by_first(world, lambda: out is None or Run(out).check_free())
    dataset = mpi.in_turn(world, lambda: data.load(told.get("data", data.DEFAULT), reading, say=say))
    trainer = fitting.prepare({**told, **recorded(dataset)}, dataset, device, say, smaller_batch=fit_batch, world=world)
    if mpi.leads(world):        # the others write nothing
        trainer.journal = journal_of(Run.create(trainer.settings, out))
    return trainer


def _prepared_to_go_on(world, journal, given: dict, device: str, page: bool):
    """The trainer of a run that goes on; None where it is finished, which is said."""
    from dataclasses import asdict

    from minivae import data, fitting
    from minivae.device import announced
    from minivae.errors import UsageError
    from minivae.page import of_run
    from minivae.parallel import mpi
    from minivae.pictures import drawing
    from minivae.runs.outcome import is_finished
    from minivae.training import resuming
    from minivae.training.fit_batch import OutOfMemory

    run = journal.run
    settings, saved = mpi.by_first(world, lambda: resuming.found(run, given))
    finished = saved and is_finished(saved[1], settings)
    if finished and not mpi.leads(world):
        return None
    if finished:
        click.echo(f"{run.folder} is finished: {settings.epochs} of {settings.epochs} epochs; "
                   f"{resuming.advice(settings, str(run.folder))}")
        if drawing.are_there(run, settings.labels is not None) and (run.page.exists() or not page):
            return None
    if settings.data == data.ARRAYS:
        raise UsageError(f"the run in {run.folder} was trained on arrays, from Python: it cannot go on here")
    check_there(str(run.folder), settings.data)
    load = partial(data.load, settings.data, settings.reading, say=say_of(world))
    dataset = load() if finished else mpi.in_turn(world, load)
    if finished:
        model, _, facts = run.load_with_facts(announced(device, click.echo))
        drawing.all_of(run, model, dataset, settings.seed)
        if page:
            of_run.write_for(run, model, settings, facts, dataset)
        click.echo(f"pictures in {run.folder}")
        return None
    resuming.check_past(settings, len(dataset.train_images), saved)
    try:
        trainer = fitting.prepare(asdict(settings), dataset, device, say_of(world), world=world)
    except OutOfMemory as error:
        error.add_note("a run that goes on keeps its batch size: end what else uses the memory, or train anew with another")
        raise
    trainer.journal = journal if mpi.leads(world) else None
    resuming.go_on(trainer, saved)
    if mpi.leads(world):
        run.write(settings)
    return trainer


def _train(trainer, signals, tensorboard: bool, page_of) -> None:
    """Train to the end, and draw; what stops it says what is kept and how to go on."""
    from minivae import fitting
    from minivae.pictures import drawing
    from minivae.stopping import exit_code
    from minivae.terminal.report import in_use, last_line
    from minivae.training import events
    from minivae.training.trainer import Stopped

    run = trainer.journal and trainer.journal.run       # none in the processes that write nothing
    trainer.stop = signals.asked
    pages = []
    try:
        if run:
            _begin(trainer)
            pages += [page_of(trainer, run)] if page_of else []
        listeners = [events.Events(run)] if run and (tensorboard or run.events.is_dir()) else []
        with signals.held():
            fitted = fitting.train(trainer, progress=run is not None, listeners=[*listeners, *pages])
        if run is None:
            return
        drawing.all_of(run, trainer.model, trainer.dataset, trainer.settings.seed)
        for each in pages:
            each.finish(fitted.score)
    except BaseException as error:
        if isinstance(error, Stopped) and signals.number:       # or it reached other processes only
            error.exit_code = exit_code(signals.number)
        if run and run.discard_unless_saved():
            for each in pages:
                each.stop(draw=isinstance(error, Stopped))
            error.add_note(_kept(trainer))
        raise
    finally:
        if run:
            run.release()
    click.echo(f"fixed-point statistics after {fitted.passes.count} passes over the training images; "
               f"pictures and checkpoint in {run.folder}")
    for each in pages:
        click.echo(f"look at {each.path}")
    click.echo(in_use(fitted.active, trainer.settings.code))
    click.echo(last_line(fitted.score, fitted.seconds))


def _begin(trainer) -> None:
    """Say what is trained, and write down with what."""
    from minivae import fitting
    from minivae.runs import versions

    run, step = trainer.journal.run, trainer.optimizer.steps
    run.note_skipped(trainer.dataset.skipped)
    if changed := versions.add(run.versions, versions.versions(trainer.device, step)):
        click.echo(f"the run was begun with another version of {', '.join(changed)} (see {run.versions}): it goes on, but the "
                   "bits can be others")
    where = f"goes on in {run.folder} after step {step:,} of {trainer.steps:,}" if step else f"into {run.folder}"
    click.echo(f"{fitting.describe(trainer)}; {where}")


def _kept(trainer) -> str:
    """What a training that stopped has left, and what can be done with it."""
    settings, name = trainer.settings, shlex.quote(str(trainer.journal.run.folder))
    epochs = round(trainer.journal.saved_step / trainer.steps_an_epoch, 2)
    return (f"{name} keeps the model after {epochs:g} of {settings.epochs} epochs: `minivae sample {name}` and "
            f"`minivae reconstruct {name}` draw with it, `minivae train --resume {name}` goes on")
