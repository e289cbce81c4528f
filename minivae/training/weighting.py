"""What of the cost a training minimizes in each of its steps: what rises over warm-ups, and what stays."""

from __future__ import annotations

from minivae.models import Weights
from minivae.runs import Settings


def weights_at(settings: Settings, number: int, steps_an_epoch: int) -> Weights:
    """What of the cost step `number`, counted from 0, minimizes."""
    warm_up = settings.kl_warm_up * steps_an_epoch
    beta = settings.beta * min(1.0, (number + 1) / warm_up) if warm_up else settings.beta
    consistency = settings.consistency * min(1.0, (number + 1) / steps_an_epoch)
    return Weights(beta, settings.free_bits, settings.samples if number >= warm_up else 1, settings.label_weight,
                   settings.label_kl, consistency, settings.shift, settings.mirror, settings.erase)
