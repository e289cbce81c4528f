"""A training that several processes run under mpiexec, as a program: settings and data come as JSON, what it gave goes out so.

    mpiexec -n 3 python tests/scaled.py '{"settings": {...}, "count": 100, "dtype": "float64"}' RESULT
"""

import json
import os
import sys
from dataclasses import asdict

os.environ["MINIVAE_THREADS"] = "1"

import numpy as np
from data_sets import some_digits

from minivae import evaluate, importance, models, mpi, training
from minivae.device import cpu
from minivae.labels import classes_of
from minivae.nn import batch_norms
from minivae.report import Silence
from minivae.runs import Settings
from minivae.training import Trainer


class Costs(Silence):
    """Keeps what a training says."""

    def __init__(self):
        self.epochs = []

    def epoch(self, epoch):
        self.epochs.append(asdict(epoch))


def trained(settings: dict, count: int = 100, tests: int = 23, dtype: str = "float32", steps: int | None = None,
            samples: int = 0) -> dict:
    """What a training gave: every step's cost, the epochs, the score at the end, digests of parameters and statistics.

    Args:
        settings: of Settings, as JSON has them.
        count, tests: images to train on and to test with.
        steps: after so many stop, and leave out all that follows.
        samples: an image, for its likelihood.
    """
    build = training.build
    training.build = lambda s, shape, device, classes: models.build(
        s.arch, shape, device, dtype=np.dtype(dtype), hidden=s.hidden, code=s.code, channels=s.channels, likelihood=s.likelihood,
        sigma=s.sigma, binarize=s.binarize, classes=classes, semi=s.semi, seed=s.seed)
    world = mpi.world()
    group = mpi.group(world, cpu())
    settings = Settings(**{name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()})
    trainer = Trainer(settings, some_digits(count, tests), cpu(), group=group)
    training.build = build
    costs = []
    for number in range(steps or 0):
        trainer._begin_epoch()
        trainer.step(number)
        costs.append(trainer._score(1))
    found = {"size": group.size, "costs": costs, "parameters": float(np.abs(trainer.flat.values).sum())}
    if steps is None:
        heard = Costs()
        trainer.train(heard)
        score, passes = trainer.finish()
        moments = [float(m) for _, norm in batch_norms(trainer.model) for m in np.abs(norm.moments).sum(1)]
        found |= {"epochs": heard.epochs, "score": score, "passes": passes.count, "moments": moments,
                  "parameters": float(np.abs(trainer.flat.values).sum())}
        if samples:
            estimate = importance.estimate(trainer.model, trainer.test_images, samples, group=group)
            found |= {"nll": estimate.nll.tolist()}
    everywhere = group.exchange(json.dumps({k: v for k, v in found.items() if k != "epochs"}))
    assert len(set(everywhere)) == 1, "the processes have found different things"
    return found


if __name__ == "__main__":
    asked, out = json.loads(sys.argv[1]), sys.argv[2]
    found = trained(**asked)
    here = mpi.world()
    if mpi.leads(here):
        with open(out, "w") as file:
            json.dump(found, file)
