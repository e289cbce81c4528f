"""How likely Fashion-MNIST is, dynamically binarized, under a dense network with one layer of codes.

    python bench/likelihood.py [--epochs 300] [--more 60] [--importance 5000] [--out runs/fashion-likelihood] [--device auto]

Trains 784 - 300 - 300 - 40 and back, then goes on from there with half the rate for some epochs more, a warm restart
(Loshchilov & Hutter 2017), into a folder of its own, and measures both with `minivae eval`: the importance-sampled negative
log-likelihood of the 10,000 test images. TRAINING are the options of `minivae train`; bench/NOTES.md says how they were found. Published
for a network of these sizes with gates: 228.70 +- 0.15, after up to 2,000 epochs.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace

import needs

needs.require(__file__, __doc__)

import click  # noqa: E402

from minivae import data, fitting  # noqa: E402
from minivae.cli.entry import cli  # noqa: E402
from minivae.errors import MinivaeError  # noqa: E402
from minivae.optim import Average  # noqa: E402
from minivae.runs import Run  # noqa: E402

TRAINING = ["--data", "fashion-mnist", "--hidden", "300,300", "--code", "40", "--likelihood", "bernoulli", "--binarize",
            "--batch-size", "500", "--learning-rate", "0.001", "--schedule", "cosine", "--ema", "0.999", "--kl-warm-up", "50",
            "--samples", "5"]


def go_on(folder: str, epochs: int, device: str) -> str:
    """Train the model of a run for so many epochs more, with half its rate; the folder of that."""
    trained, more = Run(folder), f"{folder}-more"
    settings = replace(trained.settings(), epochs=epochs, kl_warm_up=0.0, learning_rate=trained.settings().learning_rate / 2,
                       seed=trained.settings().seed + 1)
    trainer = fitting.prepare(asdict(settings), data.load(settings.data), device, print)
    trainer.model.load_state_dict(trained.load(trainer.device)[0].state_dict())
    trainer.average = Average(trainer.flat, settings.ema)       # begins with these weights, not with the first ones
    trainer.run = Run.create(settings, more)
    fitting.train(trainer)
    return more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--more", type=int, default=60)
    parser.add_argument("--importance", type=int, default=5000)
    parser.add_argument("--out", default="runs/fashion-likelihood")
    parser.add_argument("--device", default="auto")
    told = parser.parse_args()
    where = ["--device", told.device]
    try:
        cli(["train", *TRAINING, "--epochs", str(told.epochs), "--out", told.out, *where], standalone_mode=False)
        for folder in (told.out, go_on(told.out, told.more, told.device)):
            cli(["eval", folder, "--importance", str(told.importance), *where], standalone_mode=False)
    except (MinivaeError, click.ClickException) as error:
        sys.exit(f"likelihood.py: {error}")


if __name__ == "__main__":
    main()
