"""A training that several processes run under mpiexec, as a program: settings come as JSON, what it gave goes out so.

    mpiexec -n 3 python tests/scaled.py '{"settings": {...}, "count": 100, "dtype": "float64"}' RESULT
"""

import json
import os
import sys
from dataclasses import asdict

os.environ["MINIVAE_THREADS"] = "1"

import numpy as np
from data_sets import some_digits

from minivae import data, models
from minivae import device as devices
from minivae.device import device_of
from minivae.evaluation import importance
from minivae.nn import batch_norms
from minivae.parallel import mpi
from minivae.runs import Settings
from minivae.terminal.report import Silence
from minivae.training import trainer as training
from minivae.training.trainer import Trainer


class Costs(Silence):
    """Keeps what a training says."""

    def __init__(self):
        self.epochs = []

    def epoch(self, epoch):
        self.epochs.append(asdict(epoch))


def trained(settings: dict, count: int = 100, tests: int = 23, dtype: str = "float32", steps: int | None = None,
            samples: int = 0, gpu: bool = False) -> dict:
    """What a training gave: every step's cost, the epochs, the score at the end, digests of parameters and statistics.

    Args:
        settings: of Settings, as JSON has them.
        count, tests: images to train on and to test with.
        steps: after so many stop, and leave out all that follows.
        samples: an image, for its likelihood.
        gpu: on the stand-in for one, with images of 8 x 8 pixels.
    """
    build = training.build
    training.build = lambda s, shape, device, classes: models.build(
        s.arch, shape, device, dtype=np.dtype(dtype), hidden=s.hidden, code=s.code, channels=s.channels,
        likelihood=s.likelihood, sigma=s.sigma, binarize=s.binarize, classes=classes, semi=s.semi, seed=s.seed)
    device, digits = devices.cpu(), some_digits(count, tests)
    if gpu:
        import strict_cupy

        devices._import_cupy = lambda: strict_cupy
        device, shown = devices.gpu(0), (digits.train_images, digits.test_images)
        images = [x[:, 2:26:3, 2:26:3] for x in shown]
        digits = data.Dataset("tiny", images[0], digits.train_labels, images[1], digits.test_labels)
    group = mpi.group(mpi.world(), device)
    settings = Settings(**{name: tuple(v) if isinstance(v, list) else v for name, v in settings.items()})
    trainer = Trainer(settings, digits, device, group=group)
    training.build = build
    costs = []
    for number in range(steps or 0):
        trainer._begin_epoch()
        trainer.step(number)
        costs.append(trainer._score(1))
    found = {"size": group.size, "costs": costs, "parameters": _size(trainer.flat.values)}
    if steps is None:
        heard = Costs()
        trainer.train(heard)
        score, passes = trainer.finish()
        moments = [_size(part) for _, norm in batch_norms(trainer.model) for part in norm.moments]
        found |= {"epochs": heard.epochs, "score": score, "passes": passes.count, "moments": moments,
                  "parameters": _size(trainer.flat.values)}
        if samples:
            estimate = importance.estimate(trainer.model, trainer.test_images, samples, group=group)
            found |= {"nll": estimate.nll.tolist()}
    found["words"] = group.describe()
    everywhere = group.exchange(json.dumps({k: v for k, v in found.items() if k != "epochs"}))
    assert len(set(everywhere)) == 1, "the processes have found different things"
    return found


def _size(array) -> float:
    """The sum of the sizes of its elements."""
    return float(np.abs(device_of(array).to_host(array)).sum())


if __name__ == "__main__":
    asked, out = json.loads(sys.argv[1]), sys.argv[2]
    found = trained(**asked)
    here = mpi.world()
    if mpi.leads(here):
        with open(out, "w") as file:
            json.dump(found, file)
