"""Images on walks through the space of codes (latent.py), as a model decodes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minivae import apply, latent
from minivae.models import VAE


def interpolation(model: VAE, a: np.ndarray, b: np.ndarray, steps: int, *, spherical: bool = False,
                  label: int | None = None) -> np.ndarray:
    """Images on the way between the mean codes of two images: (steps, height, width, channels) in [0, 1].

    Args:
        a, b: (height, width, channels), of uint8 or floats in [0, 1]; the first and the last are their reconstructions.
        steps, spherical: see latent.between.
        label: of a model that knows of classes, the class of all of them; None for shares that go from a's most probable one
            to b's.

    Raises:
        UsageError: fewer than 2 steps, or a label that is no class.
    """
    ends = [image[np.newaxis] for image in (a, b)]
    codes = latent.between(*(apply.encode(model, end)[0][0] for end in ends), steps, spherical=spherical)
    if not model.classes:
        return apply.decode(model, codes)
    if label is not None:
        return apply.decode(model, codes, np.full(steps, label))
    return apply.decode(model, codes, latent.between(*(np.eye(model.classes)[_class(model, end)] for end in ends), steps))


def traversal(model: VAE, image: np.ndarray | None, units: Sequence[int], values: np.ndarray,
              label: int | None = None) -> np.ndarray:
    """Images of one code with each of some of its numbers set to each of some values: (units, values, height, width,
    channels) in [0, 1].

    Args:
        image: (height, width, channels), whose mean code it is; None for the prior's mean, 0.
        units: which numbers, see latent.along; latent.by_activity says which matter.
        values: (values,), in standard deviations of the prior.
        label: of a model that knows of classes, the class of all of them; None for the image's most probable, or 0.

    Raises:
        UsageError: a number that the code has not, or a label that is no class.
    """
    code = np.zeros(model.code, np.float32) if image is None else apply.encode(model, image[np.newaxis])[0][0]
    codes = np.concatenate([latent.along(code, unit, values) for unit in units])
    labels = None
    if model.classes:
        own = 0 if image is None else _class(model, image[np.newaxis])
        labels = np.full(len(codes), own if label is None else label)
    return apply.decode(model, codes, labels).reshape(len(units), len(values), *model.image_shape)


def _class(model: VAE, image: np.ndarray) -> int:
    """The most probable class of an image (1, height, width, channels)."""
    return int(apply.classify(model, image)[0].argmax())
