"""The command that measures a trained model."""

from __future__ import annotations

import click

from minivae.cli.options import Name, checkpoint_option, device_option, images_for, printed

SAMPLES = 100       # an image, where nothing is said


@click.command()
@click.argument("run", type=Name())
@click.option("--importance", type=click.IntRange(0, 2**31), metavar="K",
              help="Samples an image for the likelihood; papers take 5000; 0 for none.  [default: 100; 0 for models with "
              "--labels, which have none]")
@click.option("--data", type=Name(), metavar="NAME|PATH", help="Other images than the run's own.")
@click.option("--split", type=click.Choice(("test", "train")), default="test", show_default=True, help="Which of them.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N images only.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same numbers.")
@click.option("--json", "file", type=Name(), metavar="FILE", help="Leave all numbers there.  [default: RUN/eval.json]")
@checkpoint_option
@device_option
def eval(run: str, importance: int | None, data: str | None, split: str, limit: int | None, seed: int, file: str | None,
         which: str, device: str) -> None:
    """Measure the model of RUN, a folder that training wrote.

    The evidence lower bound and its parts, the importance-sampled negative log-likelihood, the reconstruction error and
    how many numbers of the code are in use; of models with classes also the classification error.

    \b
    Examples:
      minivae eval runs/digits-ff-1
      minivae eval runs/fashion-mnist-ff-1 --importance 5000 --device cuda
      minivae eval runs/digits-ff-1 --split train --limit 1000 --json train.json
    """
    import json

    from rich.console import Console

    from minivae import __version__, eval_report, kernels
    from minivae.device import announced
    from minivae.errors import UsageError
    from minivae.files import replacing
    from minivae.measures import Subject, measure
    from minivae.ops.batch import DeviceImages
    from minivae.runs import Run

    trained = Run(run)
    trained.settings()      # before anything is written or announced
    with replacing(file if file is not None else trained.evaluation) as out:
        where = announced(device, click.echo)
        kernels.prepare(where)
        model, settings = trained.load(where, which)
        name = data or settings.data
        dataset = images_for(model, run, name)
        if importance and model.classes:
            raise UsageError(f"the model of {run} has classes, over which no likelihood is sampled: leave --importance out")
        samples = (0 if model.classes else SAMPLES) if importance is None else importance
        there = len(getattr(dataset, f"{split}_images"))
        if limit is not None and limit > there:
            raise UsageError(f"--limit is {limit}, but {name} has {there} {split} images; take at most {there}")
        chosen, labels = getattr(dataset, f"{split}_images")[:limit], getattr(dataset, f"{split}_labels")[:limit]
        images = DeviceImages(chosen, where, model.dtype, binarize=model.likelihood.discrete)
        console = Console(highlight=False)
        with eval_report.progress(console, len(chosen) * samples) as progress:
            numbers = measure(Subject(model, images, samples, seed, labels=labels, progress=progress))
        report = {"minivae": __version__, "run": str(trained.folder), "checkpoint": which, "device": where.describe(), "data": name, "split": split,
                  "likelihood": settings.likelihood, "binarize": settings.binarize, **numbers}
        printed(eval_report.show, report)
        out.write(json.dumps(report, indent=1, allow_nan=False).encode())
