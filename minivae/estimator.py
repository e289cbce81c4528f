"""The VAE of the Python interface: arrays in, arrays out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, fields

import numpy as np

from minivae import apply, arrays, export, fitting, models
from minivae.data import ARRAYS, Dataset
from minivae.device import Device, select
from minivae.errors import UsageError
from minivae.evaluation import evaluate
from minivae.evaluation.evaluate import Score
from minivae.given import named_as_arguments, plain, whole, whole_seed
from minivae.pictures import walks
from minivae.runs import Run, Settings, build, checked
from minivae.terminal.report import in_use, last_line
from minivae.training.epochs import Epoch
from minivae.training.labels import a_class

OWN = ("device", "image_shape", "fit_batch")     # arguments that are no settings of a training


@dataclass(eq=False)
class VAE:
    """A variational autoencoder of images, to be trained on an array or loaded from a folder.

        vae = VAE(code=16, epochs=20).fit(X, validation=V)
        Z, again, new = vae.encode(V), vae.reconstruct(V), vae.sample(10)

    Arrays of images X are of shape (n, height, width), (n, height, width, channels) or, with image_shape or once the
    VAE is trained, (n, pixels); of uint8 from 0 to 255, of floats in [0, 1] (kept as float32, never quantized) or of bools.
    Everything that comes back is a NumPy array on the host. Whatever uses a seed gives the same for the same seed.

    Args:
        arch: "ff", dense layers, or "conv".
        hidden, channels, code: sizes of the model, see models.ff and models.conv; None for the architecture's own.
        likelihood, sigma, binarize: see models.likelihoods.likelihood.
        beta, free_bits: see models.Weights.
        kl_warm_up: epochs over which beta rises from 0 at the start; None as for epochs.
        samples: see runs.Settings.
        semi: where fit gets labels, "shared" (classifier and codes share the encoder) or "m2" (the class is latent).
        label_weight, label_kl, consistency, shift, mirror, erase: where fit gets labels, see models.Weights.
        fit_batch: where the memory does not do for the batch size, take the largest for which it does.
        epochs, batch_size, learning_rate, schedule: None for what `minivae train` takes, by the number of images.
        optimizer: one that `minivae optimizers` lists.
        warm_up, rescale, clip, weight_decay, ema: see runs.Settings.
        seed: of the initial weights, the order of the images and all noise.
        device: "auto" (a working GPU, else the CPU), "cpu", "cuda", "cuda:N", or a Device.
        image_shape: (height, width) or (height, width, channels) of images that come as (n, pixels).

    Attributes:
        history: an Epoch for each of the last fit(): costs in nats per image, images and seconds.

    Raises (here and in every method):
        ValueError: a wrong argument, as a UsageError (a MinivaeError that is a ValueError, too) or plain.
        TypeError: an array of something else than numbers of these kinds.
        MinivaeError: what is wrong with a file, a device or the training (recovery.Diverged).
    """

    arch: str = Settings.arch
    _: KW_ONLY
    hidden: Sequence[int] | None = None
    channels: Sequence[int] | None = None
    code: int | None = None
    likelihood: str = Settings.likelihood
    sigma: float | None = None
    binarize: bool = Settings.binarize
    beta: float = Settings.beta
    kl_warm_up: float | None = None
    free_bits: float = Settings.free_bits
    samples: int = Settings.samples
    semi: str = Settings.semi
    label_weight: float = Settings.label_weight
    label_kl: float | None = None
    consistency: float = Settings.consistency
    shift: int = Settings.shift
    mirror: bool = Settings.mirror
    erase: int = Settings.erase
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str = Settings.optimizer
    learning_rate: float | None = None
    schedule: str | None = None
    warm_up: float = Settings.warm_up
    rescale: float | None = None
    clip: float = Settings.clip
    weight_decay: float | None = None
    ema: float = Settings.ema
    seed: int = Settings.seed
    device: str | Device = "auto"
    image_shape: tuple[int, ...] | None = None
    fit_batch: bool = False

    def __post_init__(self):
        self.history: list[Epoch] = []
        self._model: models.VAE | None = None
        self._settings: Settings | None = None
        _check_device(self.device)
        if self.image_shape is not None:
            self.image_shape = arrays.image_shape(self.image_shape)
        checked(self._told())

    # ---- training ----

    def fit(self, X, y=None, validation=None, *, progress: bool = True) -> VAE:
        """Train from the start on images; what was trained or loaded before is then forgotten.

        An interrupted or failed fit leaves this VAE as it was.

        Args:
            X: the training images, at least 2.
            y: labels (n,), whole numbers from 0 on, with -1 for an image without one: train a semi-supervised model, which
                classifies. None for a model that knows of no classes.
            validation: images to evaluate after every epoch, never trained on, or a pair of them and all their labels; None
                for none.
            progress: show the device, a progress bar and a line an epoch; in a notebook, too.

        Returns:
            This VAE.
        """
        say = print if progress else _say_nothing
        with named_as_arguments():
            dataset = self._dataset(X, y, validation)
            known = {} if y is None else {"labels": int((dataset.train_labels >= 0).sum())}
            trainer = fitting.prepare({**self._told(), **known}, dataset, self.device, say,
                                      smaller_batch=self.fit_batch)
            say(fitting.describe(trainer))
            fitted = fitting.train(trainer, progress=progress)
            say(in_use(fitted.active, trainer.settings.code))
            say(last_line(fitted.score, fitted.seconds))
        self._model, self._settings, self.history = trainer.model, trainer.settings, trainer.history
        return self

    def _dataset(self, X, y, validation) -> Dataset:
        train = arrays.images(X, self.image_shape)
        labels = None if y is None else arrays.labels(y, len(train))
        if labels is not None and labels.max() < 0:
            raise UsageError("y has no label at all: leave it out")
        V, v = arrays.images_and_labels(validation)
        test = train[:0] if V is None else arrays.images(V, train.shape[1:], "validation")
        if v is not None:
            if labels is None:
                raise UsageError("validation has labels, but y is not given: leave them out, or give y")
            v = arrays.known_labels(v, len(test), "validation's labels")
        return Dataset(ARRAYS, train, labels, test, v)

    def _told(self) -> dict[str, object]:
        """The settings that were given, plain numbers and tuples."""
        return {f.name: plain(value) for f in fields(self)
                if f.name not in OWN and (value := getattr(self, f.name)) is not None}

    # ---- what it is for ----

    def encode(self, X, *, sigma: bool = False):
        """The codes of images; of a model that knows of classes, those under each image's most probable class.

        Args:
            sigma: also give the standard deviations of the codes.

        Returns:
            mu: float32 (n, code), the mean codes; with `sigma` the pair (mu, sigma), of the same shape.
        """
        mu, deviation = apply.encode(self.model, self._images(X))
        return (mu, deviation) if sigma else mu

    def decode(self, Z, label=None) -> np.ndarray:
        """The images of codes Z (n, code), real numbers: float32 (n, height, width, channels) in [0, 1].

        Args:
            label: of a model that knows of classes, the class of all of them or of each (n,).
        """
        z = arrays.codes(Z, self.model.code)
        return apply.decode(self.model, z, self._classes(label, len(z)))

    def reconstruct(self, X) -> np.ndarray:
        """Images decoded from the mean codes of X (under the most probable class): float32 in [0, 1], of X's shape."""
        return apply.reconstruct(self.model, self._images(X))[1].reshape(np.shape(X))

    def interpolate(self, a, b, steps: int = 10, label: int | None = None, *, spherical: bool = False) -> np.ndarray:
        """Images on the way between the mean codes of two images: float32 (steps, height, width, channels) in [0, 1].

        Args:
            a, b: one image each, such as X[0]; the first and the last that come back are their reconstructions.
            steps: how many, at least 2.
            label: of a model that knows of classes, the class of all of them; None to go from a's most probable to b's.
            spherical: along the arc between the directions of the two codes, see latent.between.
        """
        if label is not None:
            self._check_classes("label")
            label = a_class(label, self.model.classes)
        ends = (self._images(np.asarray(image)[np.newaxis])[0] for image in (a, b))
        return walks.interpolation(self.model, *ends, whole(steps, "steps", 2), spherical=spherical, label=label)

    def sample(self, n: int = 1, label=None, *, seed: int = 0) -> np.ndarray:
        """n images decoded from draws of the prior: float32 (n, height, width, channels) in [0, 1].

        Args:
            label: of a model that knows of classes, the class of all of them or of each (n,); None for the classes in turn.
        """
        n = whole(n, "n", 1)
        if label is None and self.model.classes:
            label = np.arange(n) % self.model.classes
        return self.decode(apply.prior(self.model, n, whole_seed(seed)), label)

    def score(self, X, y=None, *, each: bool = False, seed: int = 0) -> Score:
        """What images cost, in nats per image: lower is better, and -total is the evidence lower bound.

        The bound is of the likelihood that was trained with; squared error has no constant that makes it a density.
        As the test cost of a training, it has one draw of the code an image, and all of the KL whatever beta.

        Args:
            y: labels (n,) of all of them, to count errors of a model that classifies; the costs are without them.
            each: give the costs of every image, such as to find odd ones, in place of their mean.

        Returns:
            (total, reconstruction, kl, error): floats, or with `each` float64 arrays (n,). The error is the share of wrongly
            classified images, or bools (n,); None without y.
        """
        images = apply.on_device(self.model, self._images(X))
        if y is not None:
            self._check_classes("y")
            y = arrays.known_labels(y, images.count, "y")
        if not each:
            return evaluate.score(self.model, images, whole_seed(seed), y)
        reconstruction, kl = evaluate.costs(self.model, images, whole_seed(seed))
        wrong = None if y is None else evaluate.mistaken(self.model, images, y, seed)
        return Score(reconstruction + kl, reconstruction, kl, wrong)

    def classify(self, X, *, probabilities: bool = False) -> np.ndarray:
        """The most probable class of every image, int64 (n,), of a model that was trained with labels.

        Args:
            probabilities: give those of all classes instead, float32 (n, classes).
        """
        self._check_classes("classify")
        found = apply.classify(self.model, self._images(X))
        return found if probabilities else found.argmax(1)

    def transfer(self, X) -> np.ndarray:
        """Every image in every class, each in its own style, by a model that was trained with labels: its mean code (under the
        most probable class) decoded under each. float32 (n, classes, height, width, channels) in [0, 1].
        """
        self._check_classes("transfer")
        return apply.transfer(self.model, self._images(X))[1]

    # ---- files ----

    def save(self, path: str | os.PathLike, *, overwrite: bool = False) -> None:
        """Write the trained model as a run folder, which load() and the command line take; it holds no state of a training.

        Args:
            path: a folder that is not there yet, or empty.
            overwrite: take the place of the run that is there.
        """
        model, settings = self.model, self.settings
        if not os.fspath(path):
            raise UsageError("the path is empty: name a folder")
        run = Run(path)
        if not (overwrite and run.exists):
            run = Run.create(settings, path, "name a new folder, or replace a run with overwrite=True")
        try:
            run.save(model, settings)
        except BaseException:
            run.discard_unless_saved()
            raise
        finally:
            run.release()

    def export(self, path: str | os.PathLike) -> export.Export:
        """Write encoder.onnx and decoder.onnx into a new folder, once they agree with this model; see minivae.export."""
        return export.export(self.model, self.settings, path)

    @classmethod
    def load(cls, path: str | os.PathLike, device: str | Device = "auto", checkpoint: str | int = "last") -> VAE:
        """A trained VAE from a folder that save() or `minivae train` wrote.

        Args:
            checkpoint: "last", "best" (the epoch with the lowest test cost), or the number of steps after which it was written.
        """
        _check_device(device)
        model, settings = Run(path).load(_chosen(device), checkpoint)
        told = {f.name: getattr(settings, f.name) for f in fields(cls) if f.name not in OWN}
        vae = cls(**told, device=device)
        vae._model, vae._settings = model, settings
        return vae

    def __getstate__(self) -> dict:
        """What copy.deepcopy and pickle keep: the arguments, and the trained model as arrays on the host. A device that was given
        as an object is kept by its name."""
        model, kept = self._model, self.__dict__ | {"device": self.device if isinstance(self.device, str) else self.device.name}
        if model is not None:
            state = {name: model.device.to_host(value) for name, value in model.state_dict().items()}
            kept["_model"] = (model.image_shape, model.classes, model.class_names, state)
        return kept

    def __setstate__(self, kept: dict) -> None:
        self.__dict__.update(kept)
        if kept["_model"] is not None:
            image_shape, classes, class_names, state = kept["_model"]
            self._model = build(self.settings, image_shape, _chosen(self.device), classes)
            self._model.class_names = class_names
            self._model.load_state_dict(state)
            self._model.eval()

    # ---- inside ----

    @property
    def model(self) -> models.VAE:
        """The trained model itself, on its device."""
        return self._trained(self._model)

    @property
    def settings(self) -> Settings:
        """The settings that the model was trained with, all of them."""
        return self._trained(self._settings)

    @staticmethod
    def _trained(what):
        if what is None:
            raise UsageError("this VAE is not trained yet: call fit(X) first, or take VAE.load(path)")
        return what

    def _images(self, X) -> np.ndarray:
        return arrays.images(X, self.model.image_shape)

    def _classes(self, label, count: int) -> np.ndarray | None:
        """The class of each of `count` codes; None for a model that knows of none."""
        if label is not None:
            self._check_classes("label")
        if not self.model.classes:
            return None
        if label is None:
            raise UsageError("label is not given, but this model decodes a code under a class: take one from 0 to "
                             f"{self.model.classes - 1}, or one for each code, such as classify(X)")
        if np.ndim(label) == 0:
            return np.full(count, a_class(label, self.model.classes))
        return arrays.labels(label, count, "label")

    def _check_classes(self, what: str) -> None:
        if not self.model.classes:
            raise UsageError(f"{what} takes a model that knows of classes, but this one was trained without labels: give "
                             "fit a y")


def _check_device(device) -> None:
    if not isinstance(device, str | Device):
        raise UsageError(f'device is {device!r}, but must be "auto", "cpu", "cuda", "cuda:N" or a Device')


def _chosen(device: str | Device) -> Device:
    return select(device)[0] if isinstance(device, str) else device


def _say_nothing(text: str) -> None:
    pass
