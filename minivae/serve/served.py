"""A trained model as the page uses it: which numbers of its code matter, pictures of codes, codes of pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from minivae import apply, latent
from minivae.data import picture
from minivae.errors import MinivaeError, UsageError
from minivae.estimator import VAE

JUDGED = 1000       # images by whose codes the numbers are put in order
DRAWN = 256         # draws of the prior that stand in for them where there are none
DIRECTIONS = 48     # at most
PICTURES, VALUES = 512, 2**25       # most that are decoded at once, and most numbers in them


class Thread:
    """The one thread in which a model is loaded and asked: neither the recording of gradients nor a GPU's current device
    is made for several. Others wait for its answer; what fails in it fails where the call was made."""

    def __init__(self):
        self._executor = ThreadPoolExecutor(1, "model")

    def __call__(self, function: Callable, *arguments, **named):
        """What function(...) gives, or raises."""
        return self._executor.submit(function, *arguments, **named).result()

    def __enter__(self) -> Thread:
        return self

    def __exit__(self, *_) -> None:
        self._executor.shutdown(cancel_futures=True)


class Encoded(NamedTuple):
    """What a model makes of an image.

    Attributes:
        code: (code,), its mean code, under the most probable class.
        probabilities: (classes,); None of a model that knows of no classes.
        seen: (height, width, channels) in [0, 1], the image as the model takes it, which may be black and white alone.
        reconstruction: likewise, decoded from the code.
    """

    code: np.ndarray
    probabilities: np.ndarray | None
    seen: np.ndarray
    reconstruction: np.ndarray


class Served:
    """A trained VAE, its images and the thread it lives in.

    Args:
        vae: loaded in `thread`.
        images: (count, height, width, channels), to start from; None where there are none.
        thread: where all calls are made.

    Attributes:
        order: (code,), the numbers of the code, the most active first.
        variance: (code,), in the code's own order; see latent.by_activity.
        directions: see latent.principal.
        judged_by: by what order and directions were found.
        most: how many codes may be decoded at once.

    Raises:
        MinivaeError: the model gives codes that are no numbers.
    """

    def __init__(self, vae: VAE, images: np.ndarray | None, thread: Thread):
        self.vae, self.images, self._thread = vae, images, thread
        self.most = max(1, min(PICTURES, VALUES // vae.model.pixels))
        self.judged_by = (f"{DRAWN} samples of its own, encoded again" if images is None
                          else f"{min(JUDGED, len(images)):,} test images")
        mu = thread(self._some_codes)
        if not np.isfinite(mu).all():
            raise MinivaeError("the model gives codes that are not finite: its training went wrong; take another run")
        self.order, self.variance = latent.by_activity(mu)
        self.directions = latent.principal(mu, DIRECTIONS)

    def _some_codes(self) -> np.ndarray:
        if self.images is None:
            return self.vae.encode(self.vae.sample(DRAWN))
        return self.vae.encode(np.ascontiguousarray(self.images[:JUDGED]))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.vae.model.image_shape

    @property
    def code(self) -> int:
        """How many numbers a code has."""
        return self.vae.model.code

    @property
    def classes(self) -> int:
        """How many classes the model knows; 0 for none."""
        return self.vae.model.classes

    def decode(self, codes: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """The images, floats in [0, 1], of codes (count, code), and of a model with classes of their shares (count, classes).

        Raises:
            UsageError: more than `most`.
        """
        self.check_count(len(codes))
        return self._thread(apply.decode, self.vae.model, codes, labels)

    def along(self, code: np.ndarray, axes: str, index: int, values: np.ndarray) -> np.ndarray:
        """The code at each of the values (count,) of one of its numbers or directions, as `axes` says: (count, code)."""
        return self.directions.along(code, index, values) if axes == "directions" else latent.along(code, index, values)

    def check_count(self, count: int) -> None:
        """Raises:
            UsageError: `count` is more than may be decoded at once."""
        if count > self.most:
            raise UsageError(f"{count:,} pictures are asked for, but of this model an answer has at most {self.most}: ask "
                             "for fewer at once")

    def encode(self, file: bytes, *, invert: bool = False) -> Encoded:
        """What the model makes of a picture of any size, brought to the model's as those were that it was trained on. One is
        decoded at a time.

        Args:
            file: what the picture's file holds.
            invert: swap light and dark.

        Raises:
            UsageError: it is no picture, damaged, or too large.
        """
        return self._thread(self._encode, file, invert)

    def _encode(self, file: bytes, invert: bool) -> Encoded:
        model = self.vae.model
        try:
            image = picture.decode(io.BytesIO(file), self.image_shape, self.vae.settings.fit)
        except picture.Unreadable as error:
            raise UsageError(f"the picture cannot be used: {error}; take a PNG, JPEG, WebP, TIFF, BMP or GIF") from error
        images = (255 - image if invert else image)[np.newaxis]
        mu, _ = apply.encode(model, images)
        seen, made = apply.reconstruct(model, images)
        probabilities = apply.classify(model, images)[0] if model.classes else None
        return Encoded(mu[0], probabilities, seen[0], made[0])

    def draw(self, seed: int) -> np.ndarray:
        """The code, (code,), of what vae.sample(1, seed=seed) decodes."""
        return self._thread(apply.prior, self.vae.model, 1, seed)[0]
