"""Optimizers, the average of the weights, and schedules of the learning rate.

An optimizer's step is one launch over the flat array of all parameters (LAMB's two), after one more for the global norm
where that is asked for. Each class's docstring is its name and paper, a paragraph with its update, and what else there
is to say; `minivae optimizers` prints the first two. In all of them g is the gradient after what base.Optimizer does
to it, and p the parameters.
"""

from __future__ import annotations

from minivae.nn import Flat
from minivae.optim.adam import AMSGrad, Adam, Adamax, AdamW, NAdam, RAdam
from minivae.optim.adaptive import (Adadelta, Adagrad, RMSProp, RMSPropCentred, RMSPropMomentum,
                                    RMSPropPlain)
from minivae.optim.average import Average
from minivae.optim.base import Optimizer
from minivae.optim.layerwise import LAMB
from minivae.optim.schedule import SCHEDULES, Schedule
from minivae.optim.sgd import SGD, Momentum, Nesterov
from minivae.optim.sign import Lion

__all__ = ["OPTIMIZERS", "SCHEDULES", "AMSGrad", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Average", "LAMB",
           "Lion", "Momentum", "NAdam", "Nesterov", "Optimizer", "RAdam", "RMSProp", "RMSPropCentred", "RMSPropMomentum",
           "RMSPropPlain", "SGD", "Schedule", "make"]

OPTIMIZERS: dict[str, type[Optimizer]] = {      # by their names on the command line
    "sgd": SGD, "momentum": Momentum, "nesterov": Nesterov, "adagrad": Adagrad, "adadelta": Adadelta,
    "rmsprop-plain": RMSPropPlain, "rmsprop-centred": RMSPropCentred, "rmsprop-momentum": RMSPropMomentum,
    "rmsprop": RMSProp, "adam": Adam, "amsgrad": AMSGrad, "adamw": AdamW, "adamax": Adamax, "nadam": NAdam,
    "radam": RAdam, "lion": Lion, "lamb": LAMB}


def make(name: str, flat: Flat, lr: float, *, rescale: float | None = None, clip: float | None = None,
         weight_decay: float | None = None) -> Optimizer:
    """An optimizer by its name on the command line.

    Args:
        lr: learning rate, > 0.
        rescale: the global norm that longer gradients are rescaled to; 0 for never.
        clip: the largest size of an element of the gradient; 0 for any.
        weight_decay: coupled or decoupled as the class says; of these three None is the class's own.

    Raises:
        KeyError: no optimizer has that name.
    """
    given = {"limit": rescale, "clip": clip, "weight_decay": weight_decay}
    given = {key: value for key, value in given.items() if value is not None}
    for key in given.keys() & {"limit", "clip"}:
        given[key] = given[key] or None
    return OPTIMIZERS[name](flat, lr, **given)
