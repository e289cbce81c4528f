"""The command that measures a trained model."""

from __future__ import annotations

import click

from minivae.cli.options import announced, device_option, images_for


@click.command(name="eval")
@click.argument("run", type=click.Path())
@click.option("--importance", type=click.IntRange(0, 2**31), default=100, show_default=True, metavar="K",
              help="Samples an image for the likelihood; papers take 5000; 0 for none.")
@click.option("--data", metavar="NAME|PATH", help="Other images than the run's own.")
@click.option("--split", type=click.Choice(("test", "train")), default="test", show_default=True, help="Which of them.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The first N images only.")
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Same seed, same numbers.")
@click.option("--json", "file", metavar="FILE", help="Leave all numbers there.  [default: RUN/eval.json]")
@device_option
def evaluate(run: str, importance: int, data: str | None, split: str, limit: int | None, seed: int, file: str | None,
             device: str) -> None:
    """Measure the model of RUN, a folder that training wrote.

    The evidence lower bound and its parts, the importance-sampled negative log-likelihood, the reconstruction error and
    how many numbers of the code are in use.

    \b
    Examples:
      minivae eval runs/digits-ff-1
      minivae eval runs/fashion-mnist-ff-1 --importance 5000 --device cuda
      minivae eval runs/digits-ff-1 --split train --limit 1000 --json train.json
    """
    import json

    from rich.console import Console

    from minivae import __version__, eval_report, kernels
    from minivae.files import replacing
    from minivae.measures import Subject, measure
    from minivae.ops.batch import DeviceImages
    from minivae.runs import Run

    trained = Run(run)
    trained.settings()      # before anything is written or announced
    with replacing(file if file is not None else trained.folder / "eval.json") as out:
        where = announced(device)
        kernels.prepare(where)
        model, settings = trained.load(where)
        name = data or settings.data
        dataset = images_for(model, run, name)
        chosen, labels = getattr(dataset, f"{split}_images")[:limit], getattr(dataset, f"{split}_labels")[:limit]
        images = DeviceImages(chosen, where, model.dtype, binarize=model.likelihood.discrete)
        console = Console(highlight=False)
        with eval_report.progress(console, len(chosen) * importance) as progress:
            numbers = measure(Subject(model, images, importance, seed, labels=labels, progress=progress))
        report = {"minivae": __version__, "run": str(trained.folder), "device": where.describe(), "data": name, "split": split,
                  "likelihood": settings.likelihood, "binarize": settings.binarize, **numbers}
        eval_report.show(console, report)
        out.write(json.dumps(report, indent=1, allow_nan=False).encode())
