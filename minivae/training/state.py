"""The state of a training between two steps: taken, and gone on from bit for bit.

Arrays by name: the model's, as they are evaluated and kept; with OPTIMIZER before it, the optimizer's state, and where the
model is an average of the weights, those themselves. Facts, of which JSON gives back every number exactly: settings, steps
made, the plain numbers of optimizer, schedule, recovery and of the watch for collapse, the running score of the epoch,
seconds.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from minivae import __version__
from minivae.errors import MinivaeError
from minivae.runs import OPTIMIZER, model_state
from minivae.runs.outcome import is_of_training

if TYPE_CHECKING:
    from minivae.training.trainer import Trainer

TRAINED = "parameters"      # with the optimizer's state: the weights themselves where their average is the model
GOOD = "good."              # with the optimizer's state, in the middle of an epoch: the state that recovery.py goes back to


def model_alone(trainer: Trainer, **more) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays on the host, facts) of the model as it is, to be used but not to be trained on; see checkpoint.save.

    Args:
        more: facts.
    """
    facts = {"minivae": __version__, "settings": asdict(trainer.settings), "image_shape": trainer.dataset.image_shape,
             "classes": trainer.classes, "class_names": trainer.model.class_names, "step": trainer.optimizer.steps,
             "epoch": trainer.optimizer.steps // trainer.steps_an_epoch, **more}
    return {name: trainer.device.to_host(value) for name, value in trainer.model.state_dict().items()}, facts


def whole(trainer: Trainer, **more) -> tuple[dict[str, np.ndarray], dict]:
    """(arrays on the host, facts) of all that a training goes on with; taken while the model has the parameters that are
    evaluated, see Trainer.evaluated.

    Args:
        more: facts.
    """
    own = {**trainer.optimizer.state, **({TRAINED: trainer.average.values} if trainer.average else {})}
    arrays, facts = model_alone(trainer, **more)
    arrays |= {f"{OPTIMIZER}{name}": trainer.device.to_host(value) for name, value in own.items()}
    good, recovery = trainer.recovery.state(apart=trainer.optimizer.steps % trainer.steps_an_epoch > 0)
    arrays |= {f"{OPTIMIZER}{GOOD}{name}": value for name, value in good.items()}
    return arrays, {**facts, "optimizer": trainer.optimizer.facts(), "schedule": trainer.schedule.facts(),
                    "score": trainer.score.read(), "recovery": recovery, "collapse": trainer.collapse.facts(),
                    "seconds": trainer.clock.read(), "epoch_seconds": trainer.epoch_clock.read(), "data": trainer.fingerprint}


def restore(trainer: Trainer, arrays: dict[str, np.ndarray], facts: dict) -> None:
    """Give a trainer such a state; see Trainer.restore."""
    if not is_of_training(facts):
        raise MinivaeError("the checkpoint holds a model, but no state of a training: go on from one that a training wrote")
    if facts.get("data", trainer.fingerprint) != trainer.fingerprint:
        raise MinivaeError(f"{trainer.settings.data} holds other images or labels than those that the run was trained on: put "
                           "those back, or train anew")
    own = {name.removeprefix(OPTIMIZER): value for name, value in arrays.items() if name.startswith(OPTIMIZER)}
    good = {name.removeprefix(GOOD): own.pop(name) for name in list(own) if name.startswith(GOOD)}
    trained = own.pop(TRAINED, None)
    average = trainer.average
    if (trained is None) != (average is None):
        raise MinivaeError("the checkpoint was saved with another --ema: take the settings that it was saved with")
    if average and (trained.shape, trained.dtype) != (average.values.shape, average.values.dtype):
        raise MinivaeError(f"the checkpoint's weights under the average are {trained.shape} of {trained.dtype}, but this model "
                           f"has {average.values.shape} of {average.values.dtype}: take another checkpoint, or train anew")
    trainer.model.load_state_dict(model_state(arrays, trainer.settings.arch))
    trainer.optimizer.restore(own, facts["optimizer"])
    trainer.schedule.restore(facts["schedule"])
    if average:
        average.values[...] = trainer.device.from_host(trained)
        average.steps = trainer.optimizer.steps
        average.swap()
    if "score" in facts:        # older checkpoints were written at the end of an epoch
        trainer.score.set(facts["score"])
    trainer.recovery.restore(good, facts.get("recovery"))
    trainer.collapse.restore(facts.get("collapse"))
    trainer.clock.set(facts.get("seconds", 0.0))
    trainer.epoch_clock.set(facts.get("epoch_seconds", 0.0))
