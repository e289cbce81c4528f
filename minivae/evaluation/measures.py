"""What a trained model is worth on images: bounds, likelihood, reconstruction, the code's use.

Each measure is a function of what is measured (Subject) that returns its numbers by name; MEASURES lists them all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minivae.errors import MinivaeError
from minivae.evaluation import evaluate, fixed_point, importance, intervals
from minivae.latent import is_active
from minivae.models import VAE
from minivae.ops.batch import Images
from minivae.ops.batch_norm import merge_moments
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.parallel.group import ALONE, Group
from minivae.tensor import no_grad



def silent(decoded: int) -> None:
    """Hears of progress and says nothing."""


@dataclass(frozen=True)
class Subject:
    """What is measured, and how.

    Attributes:
        model: with its fixed-point statistics.
        images: on the model's device, binarized where its likelihood is of black and white pixels.
        samples: codes an image and proposal (see models.vae) for the likelihood; 0 leaves it out.
        seed: of the pixels' and the codes' draws.
        limit: images, the first ones; None for all.
        labels: (images,), the images' classes, for models that tell them, -1 for one without; None where there are none.
        progress: told how many codes have been decoded since it was told last, of count * samples * model.draws.
        group: the processes that share the images; all get the same numbers.
    """

    model: VAE
    images: Images
    samples: int = 0
    seed: int = 0
    limit: int | None = None
    labels: np.ndarray | None = None
    progress: Callable[[int], None] = silent
    group: Group = ALONE

    @property
    def count(self) -> int:
        """How many images are measured."""
        return min(self.images.count, self.limit or self.images.count)

    def batches(self):
        """(images, example) of this process's share of what is measured, in evaluate.score()'s draw of the pixels."""
        for start, size in self.images.ranges(evaluate.batch_size(self.model), self.limit, self.group):
            yield self.images.batch(start, size, Noise(self.seed, 0, EVALUATE))


def bound(subject: Subject) -> dict:
    """The evidence lower bound and its two parts, with one draw of the code an image; nats an image."""
    reconstruction, kl = evaluate.costs(subject.model, subject.images, subject.seed, subject.limit, subject.group)
    _require_finite("bound", reconstruction + kl)
    found = {"elbo": summarized(-reconstruction - kl), "reconstruction": summarized(reconstruction), "kl": summarized(kl)}
    return {**found, **_bits(subject, "elbo_bits_per_dimension", -found["elbo"]["mean"])}


def likelihood(subject: Subject) -> dict:
    """The importance-sampled negative log-likelihood, nats an image, and how many of the samples were effective."""
    if not subject.samples:
        return {}
    found = importance.estimate(subject.model, subject.images, subject.samples, seed=subject.seed, limit=subject.limit,
                                progress=subject.progress, group=subject.group)
    _require_finite("importance-sampled likelihood", found.nll)
    nll = summarized(found.nll)
    effective = {"median": float(np.median(found.effective)), "least": float(found.effective.min())}
    return {"nll": nll, "effective_samples": effective,
            **_bits(subject, "nll_bits_per_dimension", nll["mean"])}


def reconstruction(subject: Subject) -> dict:
    """The mean squared error a pixel of the images decoded from the mean codes."""
    model, total = subject.model, 0.0
    model.eval()
    for x, _ in subject.batches():
        y = model.reconstruct(x).reshape(x.shape)
        total += float(((model.device.to_host(x).astype(np.float64) - y) ** 2).sum())
    return {"squared_error": sum(subject.group.exchange(total)) / (subject.count * model.pixels)}


def active_units(subject: Subject) -> dict:
    """How many numbers of the code are in use: the variance of E[z | x] over the images is above latent.ACTIVE."""
    model, device, seen = subject.model, subject.model.device, 0
    model.eval()
    moments = device.zeros((2, 2 * model.code), model.dtype)
    with no_grad():
        for x, _ in subject.batches():
            merge_moments(moments, seen, model.encode(x).data)
            seen += len(x)
    moments, = fixed_point.joined([moments], [seen], subject.group)
    variance = device.to_host(moments)[1, :model.code]
    return {"active_units": int(is_active(variance).sum()), "code": model.code}


def classification(subject: Subject) -> dict:
    """The share of images whose most probable class is not their label, of models that tell classes; its standard error and
    its interval (Wilson 1927) are those over images, not over trainings."""
    if not subject.model.classes or subject.labels is None or subject.labels[:subject.limit].max() < 0:
        return {}
    wrong = evaluate.mistaken(subject.model, subject.images, subject.labels, subject.seed, subject.limit, subject.group)
    found = summarized(wrong.astype(np.float64))
    return {"classification_error": {**found, "wilson_95": intervals.wilson(found["mean"], len(wrong))}}


MEASURES = (bound, reconstruction, active_units, classification, likelihood)


def measure(subject: Subject) -> dict:
    """All numbers, and the seconds that each measure took, as they go into a JSON file.

    Raises:
        MinivaeError: a number is not finite.
    """
    found: dict = {"images": subject.count, "seed": subject.seed, "importance_samples": subject.samples,
                   "caveat": subject.model.likelihood.caveat(subject.model.pixels), "classes": subject.model.classes,
                   "bound_caveat": subject.model.bound_caveat}
    seconds = {}
    for each in MEASURES:
        began = time.perf_counter()
        found.update(each(subject))
        seconds[each.__name__] = time.perf_counter() - began
    return {**found, "seconds": {**seconds, "all": sum(seconds.values())}}


def summarized(values: np.ndarray) -> dict[str, float | None]:
    """The mean over images and its standard error; None for the error of a single one."""
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return {"mean": float(values.mean()), "standard_error": error}


def _bits(subject: Subject, name: str, nats: float) -> dict[str, float]:
    """nats an image as bits a pixel, where the pixels have probabilities."""
    return {name: nats / (subject.model.pixels * math.log(2))} if subject.model.likelihood.discrete else {}


def _require_finite(what: str, values: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise MinivaeError(f"the {what} of {len(bad)} of {len(values)} images is no finite number (first: image {bad[0]}): "
                           "the model has diverged, or these images are far from those that it was trained on; train again with a "
                           "smaller --learning-rate, or name others with --data")
