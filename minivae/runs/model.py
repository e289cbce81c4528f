"""From settings to a model, and from a checkpoint's arrays to what is the model's among them."""

from __future__ import annotations

import numpy as np

from minivae import models
from minivae.device import Device
from minivae.models import VAE
from minivae.models.conv import by_new_names
from minivae.runs.settings import Settings

OPTIMIZER = "optimizer."        # begins the names of an optimizer's arrays in a checkpoint


def build(settings: Settings, image_shape: tuple[int, int, int], device: Device, classes: int = 0) -> VAE:
    """The untrained model that the settings describe.

    Args:
        classes: how many the labels tell apart; 0 where there are none.

    Raises:
        UsageError: settings that no model can have.
    """
    return models.build(settings.arch, image_shape, device, hidden=settings.hidden, code=settings.code,
                        channels=settings.channels, likelihood=settings.likelihood, sigma=settings.sigma,
                        binarize=settings.binarize, classes=classes, semi=settings.semi, seed=settings.seed)


def model_state(arrays: dict[str, np.ndarray], arch: str) -> dict[str, np.ndarray]:
    """The model's part of a checkpoint's arrays, by the names of this version; the rest is the optimizer's."""
    state = {name: value for name, value in arrays.items() if not name.startswith(OPTIMIZER)}
    return by_new_names(state) if arch == "conv" else state
