"""Collapse of the code: the decoder does without it, and all images are encoded alike (Bowman et al. 2016)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from minivae.errors import MinivaeWarning
from minivae.latent import by_activity, is_active
from minivae.models import VAE
from minivae.ops.batch import DeviceImages
from minivae.ops.reparameterize import EVALUATE, Noise
from minivae.runs import Settings
from minivae.tensor import no_grad
from minivae.training.epochs import Epoch

LOOKED_AT = 100     # training images by which the numbers of the code are judged
PATIENCE = 2        # epochs in a row without an active number are a collapse; one may be a bad moment


def active_units(model: VAE, images: DeviceImages, seed: int = 0) -> int:
    """How many numbers of the code tell images apart, by a sample of them: see latent.ACTIVE. Batch norm takes the sample's
    own moments, so that it needs no statistics; the model is left as it was.

    Args:
        images: that it was trained on.
        seed: of which are drawn.
    """
    training = model.training
    model.train()
    x, _ = images.batch(0, min(LOOKED_AT, images.count), Noise(seed, 1, EVALUATE), seed=seed, epoch=0)
    with no_grad():
        heads = model.device.to_host(model.encode(x).data)
    model.train(training)
    return int(is_active(by_activity(heads[:, :model.code])[1]).sum())


class CollapseWatch:
    """Warns where no number of the code is active any more: once in a training, also in one that is stopped and goes on.

    Args:
        settings: of the training, whose KL warm-up is waited for: until then the code may only begin to be used.
    """

    def __init__(self, settings: Settings):
        self.settings, self._without, self._told = settings, 0, False

    def facts(self) -> dict[str, int]:
        """What restore() takes: epochs in a row without an active number, and whether it was said."""
        return {"without": self._without, "told": int(self._told)}

    def restore(self, facts: Mapping[str, int] | None) -> None:
        """Go on from another one's facts(); None for a training that was saved before there were any."""
        self._without, self._told = (facts["without"], bool(facts["told"])) if facts else (0, False)

    def epoch(self, epoch: Epoch) -> None:
        """An epoch is over."""
        if epoch.active or epoch.number <= self.settings.kl_warm_up:
            self._without = 0
            return
        self._without += 1
        if not self._told and (self._without == PATIENCE or epoch.number == self.settings.epochs):
            self._told = True
            warnings.warn(f"the code has collapsed: after epoch {epoch.number} none of its {self.settings.code} numbers differs "
                          f"from image to image, so that all are reconstructed alike. Try {remedies(self.settings)}",
                          MinivaeWarning, stacklevel=2)


def remedies(settings: Settings) -> str:
    """What may help a code that has collapsed: what makes it cheaper, or images that are reconstructed alike dearer."""
    ways = []
    if settings.samples == 1:       # the bound of several knows neither beta nor free bits
        if settings.beta > 1:
            ways.append(f"a smaller beta ({settings.beta:g} now)")
        longer = f"a longer KL warm-up ({settings.kl_warm_up:.3g} epochs now)"
        ways.append(longer if settings.kl_warm_up else f"a KL warm-up ({max(1, round(settings.epochs / 6))} epochs, say)")
        if not settings.free_bits:
            ways.append("free bits (0.05, say)")
    if settings.likelihood == "gaussian":
        ways.append(f"a smaller sigma ({settings.sigma:g} now)" if settings.sigma else "a fixed, small sigma (0.1, say)")
    elif settings.likelihood == "squared-error":
        ways.append("the gaussian likelihood with a small sigma (0.1, say)")
    ways.append(f"a smaller learning rate ({settings.learning_rate:g} now)")
    return f"{', '.join(ways[:-1])} or {ways[-1]}"
