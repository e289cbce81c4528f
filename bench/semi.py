"""Semi-supervised models against the same encoder trained on the labels alone: test errors over several label draws.

    python bench/semi.py [--data digits] [--labels COUNT] [--draws 5] [--models shared,m2] [--json semi.json] [options of both]

A draw is a seed: of the labelled images' choice, the initial weights, the orders and the noise. The baseline is the
encoder and the classifier alone, with batch norm, the same optimizer and its own number of steps, on the same labelled
images; its fixed-point statistics are over those, the models' over all training images without their labels. Where the
models see images moved, mirrored or partly erased (--consistency), a second baseline, "moved", is trained on labelled
images that are changed like that, anew at every step. What is below the first is said draw by draw, too, since all have the
draw's labelled images. With "binarize = true" the pixels that the baselines see are drawn at every step, too. DEFAULTS are
what holds for a data set where nothing else is said, SETTINGS those of the models where --set says nothing else.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
import tomllib
from dataclasses import asdict, replace

import needs

needs.require(__file__, __doc__)

import numpy as np  # noqa: E402

from minivae import apply, data, kernels, ops  # noqa: E402
from minivae.device import select  # noqa: E402
from minivae.evaluation import evaluate, fixed_point  # noqa: E402
from minivae.models import ClassVAE  # noqa: E402
from minivae.nn import Flat, Module  # noqa: E402
from minivae.ops.batch import DeviceImages  # noqa: E402
from minivae.ops.reparameterize import Noise  # noqa: E402
from minivae.optim import SCHEDULES, make  # noqa: E402
from minivae.runs import Settings, build  # noqa: E402
from minivae.terminal.report import Silence  # noqa: E402
from minivae.training.batches import Shuffled  # noqa: E402
from minivae.training.labels import choose, classes_of, matrix  # noqa: E402
from minivae.training.trainer import Trainer  # noqa: E402

DEFAULTS = {"digits": {"labels": 100, "models": "shared,m2", "baseline_steps": 500, "baseline_rate": 3e-4},
            "fashion-mnist": {"labels": 1000, "models": "shared", "baseline_steps": 1000, "baseline_rate": 1e-3}}
SETTINGS = {"digits": {"hidden": (256, 128), "code": 32, "likelihood": "bernoulli", "epochs": 20},
            "fashion-mnist": {"arch": "conv", "channels": (16, 32), "hidden": (128,), "code": 32, "likelihood": "bernoulli",
                              "epochs": 10, "batch_size": 250, "ema": 0.99, "consistency": 300.0, "shift": 2, "mirror": True,
                              "erase": 10}}


class Classifier(Module):
    """The encoder and the classifier of a semi-supervised model, alone."""

    def __init__(self, model: ClassVAE):
        self.encoder, self.classifier = model.encoder, model.classifier

    def forward(self, x):
        return self.classifier(self.encoder(x))


def baseline(settings: Settings, dataset: data.Dataset, device, steps: int, batch_size: int, learning_rate: float,
             moved: bool) -> float:
    """The test error of the encoder and the classifier trained on the labelled images alone.

    Args:
        moved: train on them moved, mirrored and partly erased, as the settings say.
    """
    model = build(settings, dataset.image_shape, device, classes_of(dataset.train_labels))
    alone = Classifier(model)
    optimizer = make(settings.optimizer, Flat(alone, device, model.dtype), learning_rate)
    schedule, chosen = SCHEDULES["cosine"](steps, 0), choose(dataset.train_labels, settings.labels, settings.seed)
    known = DeviceImages(dataset.train_images[chosen], device, model.dtype, binarize=settings.binarize)
    labels = matrix(dataset.train_labels[chosen], len(chosen), model.classes, device, model.dtype)
    shuffled = Shuffled(known, min(batch_size, len(chosen)), settings.seed)
    for step in range(steps):
        alone.train()
        x, example = shuffled.batch(step, Noise(settings.seed, step))
        if moved:
            x = ops.distort(x, example, Noise(settings.seed, step), image_shape=dataset.image_shape, shift=settings.shift,
                            mirror=settings.mirror, erase=settings.erase)
        ops.mean(ops.cross_entropy(alone(x), ops.take(labels, example))).backward()
        optimizer.lr = learning_rate * schedule.factor(step)
        optimizer.step()
    fixed_point.compute(alone, lambda: (alone(known.batch(*r)[0]) for r in known.ranges(evaluate.BATCH)))
    found = apply.classify(model, dataset.test_images).argmax(1)
    return float((found != dataset.test_labels).mean())


def semi(settings: Settings, dataset: data.Dataset, device) -> dict:
    """Train one; returns its test error and costs."""
    trainer = Trainer(settings, dataset, device)
    trainer.train(Silence())
    return trainer.finish()[0]._asdict()


def summary(errors: list[float]) -> str:
    """Mean, standard error and each draw, in percent."""
    spread = np.std(errors, ddof=1) / np.sqrt(len(errors)) if len(errors) > 1 else math.nan
    return f"{np.mean(errors):6.2%} +- {spread:.2%} ({', '.join(f'{e:.2%}' for e in errors)})"


def options(arguments: list[str]) -> argparse.Namespace:
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--data", default="digits")
    data_set = first.parse_known_args(arguments)[0].data
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--labels", type=int)
    parser.add_argument("--draws", type=int, default=5, help="seeds 0 to this - 1")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--models", help="of models.SEMI; empty for the baseline alone")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the models, as in settings.toml")
    parser.add_argument("--baseline-steps", type=int, help="0 for no baseline")
    parser.add_argument("--baseline-batch", type=int, default=50)
    parser.add_argument("--baseline-rate", type=float)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", help="leave all numbers there")
    parser.set_defaults(**DEFAULTS.get(data_set, DEFAULTS["digits"]))
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    told = options(arguments)
    dataset, device = data.load(told.data), select(told.device)[0]
    own = {name: tuple(value) if isinstance(value, list) else value
           for name, value in tomllib.loads("\n".join(told.set)).items()}
    settings = Settings(**{**SETTINGS.get(told.data, SETTINGS["digits"]), "data": told.data, "labels": told.labels, **own})
    kernels.prepare(device)
    baselines = ["baseline", "moved"] if settings.consistency else ["baseline"]
    compared = [*(baselines if told.baseline_steps else ()), *(name for name in told.models.split(",") if name)]
    report = {"settings": asdict(settings), **{name: [] for name in compared}}
    for seed in range(told.first, told.first + told.draws):
        for name in compared:
            here, began, worked = replace(settings, seed=seed), time.perf_counter(), time.process_time()
            if name in baselines:
                found = {"error": baseline(here, dataset, device, told.baseline_steps, told.baseline_batch,
                                           told.baseline_rate, name == "moved")}
            else:
                found = semi(replace(here, semi=name), dataset, device)
            found.update(seconds=time.perf_counter() - began, processor_seconds=time.process_time() - worked)
            report[name].append(found)
            print(f"draw {seed} {name:9} {' '.join(f'{key} {value:.4f}' for key, value in found.items())}", flush=True)
    errors = {name: [found["error"] for found in report[name]] for name in compared if report[name]}
    for name, each in errors.items():
        print(f"{name:9} {summary(each)}")
        if name not in baselines and "baseline" in errors:
            print(f"{'below':9} {summary([b - e for b, e in zip(errors['baseline'], each, strict=True)])}")
    if told.json:
        with open(told.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main(sys.argv[1:])
