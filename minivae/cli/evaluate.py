"""The command that measures a trained model."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from minivae.cli.options import Name, checkpoint_option, device_option, images_for, printed, say_of

if TYPE_CHECKING:
    from minivae.device import Device
    from minivae.parallel.group import Group
    from minivae.runs import Run

SAMPLES = 100       # codes decoded an image, where nothing is said


@click.command()
@click.argument("runs", nargs=-1, required=True, type=Name(), metavar="RUN...")
@click.option("--importance", type=click.IntRange(0, 2**31), metavar="K",
              help="Samples an image for the likelihood, and a class where the model knows of classes; papers take 5000; 0 for "
              "none.  [default: 100, over the number of classes]")
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")
@click.option("--split", type=click.Choice(("test", "train")), default="test", show_default=True, help="Which of them.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N images only.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same numbers.")
@click.option("--json", "file", type=Name(), metavar="FILE", help="Leave all numbers there.  [default: RUN/eval.json; of "
              "several runs eval-runs.json in the first]")
@checkpoint_option
@device_option
def eval(runs: tuple[str, ...], file: str | None, device: str, **how) -> None:
    """Measure the model of RUN, a folder that training wrote, or those of several.

    The evidence lower bound and its parts, the importance-sampled negative log-likelihood, the reconstruction error and
    how many numbers of the code are in use; of models with classes also the classification error. Of several runs, which
    differ in their --seed alone, the mean of each number and its 95% interval over the runs.

    \b
    Examples:
      minivae eval runs/digits-ff-1
      minivae eval runs/fashion-mnist-ff-1 --importance 5000 --device cuda
      minivae eval runs/digits-ff-1 --split train --limit 1000 --json train.json
      minivae eval runs/seed-0 runs/seed-1 runs/seed-2 --importance 0
    """
    import json

    from minivae import kernels
    from minivae.cli import together
    from minivae.device import announced
    from minivae.evaluation import over_runs
    from minivae.files import replacing
    from minivae.parallel import mpi
    from minivae.runs import Run
    from minivae.runs.checkpoints import BEST
    from minivae.terminal import evaluation

    trained = [Run(run) for run in runs]
    settings = over_runs.require_alike(trained)      # before anything is written or announced
    several, world = len(trained) > 1, mpi.world()
    together.require_same_command(world, "eval", runs=runs, file=file, **how)
    together.only_one_warns(world)
    place = file or (trained[0].folder / "eval-runs.json" if several else trained[0].evaluation)
    with replacing(place) if mpi.leads(world) else nullcontext() as out:
        where = announced(device, say_of(world), mpi.place(world, device))
        mpi.in_turn(world, lambda: kernels.prepare(where))
        group = mpi.group(world, where)
        found = [_measured(run, where, group, **how) for run in trained]
        if how["which"] != BEST:        # whose epochs differ as they like
            over_runs.require_as_long(trained, found)
        if not mpi.leads(world):
            return
        if several:
            report = {"seeds": [its.seed for its in settings], "over_runs": over_runs.combine(found), "reports": found}
            printed(evaluation.show_runs, report)
        else:
            report = found[0]
            printed(evaluation.show, report)
        out.write(json.dumps(report, indent=1, allow_nan=False).encode())


def _measured(run: Run, where: Device, group: Group, importance: int | None, data: str | None, split: str, limit: int | None,
              seed: int, which: str) -> dict:
    """All numbers of a run, and what they are of."""
    from minivae import __version__, apply
    from minivae.errors import UsageError
    from minivae.evaluation.measures import Subject, measure, silent
    from minivae.progress import counting

    model, settings, facts = run.load_with_facts(where, which)
    name = data or settings.data
    dataset = images_for(model, str(run.folder), settings, data)
    samples = max(1, SAMPLES // max(model.classes, 1)) if importance is None else importance
    there = len(getattr(dataset, f"{split}_images"))
    if not there:
        raise UsageError(f"{name} has no {split} images: name others with --data, or take another --split")
    if limit is not None and limit > there:
        raise UsageError(f"--limit is {limit}, but {name} has {there} {split} images; take at most {there}")
    chosen, labels = getattr(dataset, f"{split}_images")[:limit], getattr(dataset, f"{split}_labels")
    labels = None if labels is None else labels[:limit]
    images = apply.on_device(model, chosen)
    begin, end = group.share(len(chosen))
    decoded = (end - begin) * samples * model.draws
    with (counting("importance sampling", decoded, begins=False) if decoded and group.rank == 0
          else nullcontext(silent)) as progress:
        numbers = measure(Subject(model, images, samples, seed, labels=labels, progress=progress, group=group))
    return {"minivae": __version__, "run": str(run.folder), "checkpoint": which, "epoch": facts.get("epoch"), "device": where.describe(),
            "data": name, "split": split, "likelihood": settings.likelihood, "binarize": settings.binarize, **numbers}
