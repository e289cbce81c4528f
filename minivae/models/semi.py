"""Semi-supervised models: a VAE that knows of classes, and the one whose classifier and codes share the encoder."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from minivae import ops
from minivae.errors import UsageError
from minivae.models.likelihoods import Likelihood
from minivae.models.vae import VAE, Cost, Networks, Place, Proposal, Weights, objective
from minivae.nn import Dense
from minivae.ops.reparameterize import Noise, standard_normal
from minivae.ops.shape import repeat_rows
from minivae.tensor import Tensor, no_grad

SHARPENED = 2.0     # power of the predictions that are targets, made to sum to 1 again; the inverse of a temperature


class Known(NamedTuple):
    """What is known of the classes of a batch.

    Attributes:
        labels: array (rows, classes), one-hot where a row's label is known, zero where it is not.
        open: (rows, 1), 0 and 1 there.
    """

    labels: object
    open: Tensor


class ClassVAE(VAE):
    """What all VAEs of labelled and unlabelled images share.

    The encoder also feeds a classifier; the decoder takes a code and a class. Labels are a matrix (rows, classes):
    one-hot where a row's label is known, zero where it is not. A labelled image has no cost of its class; a classifier
    learns from it by its cross-entropy, Weights.label times which is minimized beside the rest.

    With Weights.consistency the classifier also sees every image moved, mirrored and partly erased (ops.distort). There a
    labelled image has its label still; for an unlabelled one the prediction for the image itself, sharpened, is the
    target, to which no gradient goes (Xie et al. 2020, "Unsupervised data augmentation for consistency training").

    Args:
        classes: how many there are, >= 2.
        (The rest as for VAE; the classifier's initial weights are drawn last.)

    Attributes:
        label_kl: factor of the KL divergence of the predicted classes from the uniform distribution, where the Weights
            leave it open.

    Raises:
        UsageError: a code size below 1, or fewer than 2 classes.
    """

    label_kl = 0.0

    def __init__(self, networks: Networks, image_shape: tuple[int, int, int], code: int, classes: int, likelihood: Likelihood,
                 place: Place):
        if classes < 2:
            raise UsageError(f"the labels tell {classes} classes apart, but a semi-supervised model needs at least 2")
        super().__init__(networks, image_shape, code, likelihood, place, beside=classes)
        self.classes = classes
        self.classifier = Dense(networks.width, classes, "identity", *place)

    def heads_of(self, features: Tensor, label) -> Tensor:
        """Heads (rows, 2 * code) of what the encoder gave and a class for each row, (rows, classes)."""
        raise NotImplementedError

    def classify(self, x) -> np.ndarray:
        """The probability of every class, (rows, classes) on the host, for images x (rows, pixels)."""
        with no_grad():
            return self.device.to_host(ops.softmax(self.classifier(self.encoder(x))).data)

    def encode(self, x, label=None) -> Tensor:
        """Heads (rows, 2 * code) of images x (rows, pixels) of given classes (rows, classes); None for the most probable."""
        features = self.encoder(x)
        if label is None:
            label = self.one_hot(self.device.to_host(self.classifier(features).data).argmax(1))
        return self.heads_of(features, label)

    def decode(self, z, label) -> Tensor:
        """What the likelihood takes, (rows, pixels), of codes z (rows, code) and classes (rows, classes)."""
        return self.decoder(ops.concatenate([z, label], axis=1))

    def reconstruction(self, z, x) -> Tensor:
        """-log p(x | z) with p(x | z) = 1 / classes sum_y p(x | z, y): the classes, equally probable before an image is seen,
        are summed out. Each code is decoded under every one. See VAE.reconstruction."""
        y = self.one_hot(np.tile(np.arange(self.classes), len(z)))
        costs = self.likelihood(self.decode(repeat_rows(z, self.classes), y), x)
        return math.log(self.classes) - ops.logsumexp(-ops.reshape(costs, (-1, self.classes)), axis=1)

    def one_hot(self, labels: Sequence[int]):
        """The device matrix (rows, classes) of labels.

        Raises:
            UsageError: one that is no class.
        """
        labels = np.asarray(labels)
        if labels.size and not 0 <= labels.min() <= labels.max() < self.classes:
            raise UsageError(f"label {labels.min() if labels.min() < 0 else labels.max()} is none of the model's classes 0 to "
                             f"{self.classes - 1}")
        return self.device.from_host(np.eye(self.classes, dtype=self.dtype)[labels])

    def reconstruct(self, x, label=None) -> np.ndarray:
        """Images (rows, height, width, channels) in [0, 1], decoded from the mean codes of images x (rows, pixels).

        Args:
            label: each row's class, or None for the most probable.
        """
        label = self.classify(x).argmax(1) if label is None else label
        with no_grad():
            return self.images(self.decode(self.device.from_host(self._means(x, label)), self.one_hot(label)))

    def sample(self, count: int, noise: Noise, label: int | None = None) -> np.ndarray:
        """Images decoded from `count` draws of the prior: (count, height, width, channels) in [0, 1].

        Args:
            label: the class of all of them; None for the classes in turn.
        """
        labels = np.arange(count) % self.classes if label is None else np.full(count, label)
        with no_grad():
            return self.images(self.decode(standard_normal(self.device, count, self.code, noise, self.dtype),
                                           self.one_hot(labels)))

    def styles(self, count: int, noise: Noise) -> np.ndarray:
        """`count` draws of the prior, each decoded under every class: (count, classes, height, width, channels)."""
        return self._in_every_class(self.device.to_host(standard_normal(self.device, count, self.code, noise, self.dtype)))

    def transfer(self, x, label=None) -> np.ndarray:
        """Images x (rows, pixels) in the same style in every class: (rows, classes, height, width, channels).

        Args:
            label: each row's own class, or None for the most probable.
        """
        return self._in_every_class(self._means(x, self.classify(x).argmax(1) if label is None else label))

    def _means(self, x, label) -> np.ndarray:
        """The mean codes (rows, code) of images x of those classes."""
        with no_grad():
            return np.ascontiguousarray(self.device.to_host(self.encode(x, self.one_hot(label)).data)[:, :self.code])

    def _in_every_class(self, z: np.ndarray) -> np.ndarray:
        count = len(z)
        with no_grad():
            images = self.images(self.decode(self.device.from_host(z.repeat(self.classes, 0)),
                                             self.one_hot(np.tile(np.arange(self.classes), count))))
        return images.reshape(count, self.classes, *self.image_shape)

    def class_kl(self, logits: Tensor) -> Tensor:
        """KL(q || uniform) of the predicted classes q = softmax(logits), (rows,), in nats."""
        return ops.sum(ops.softmax(logits) * ops.log_softmax(logits), axis=1) + math.log(self.classes)

    def total(self, reconstruction_and_kl: Tensor, class_kl: Callable[[], Tensor], cross_entropy: Tensor,
              weights: Weights) -> Tensor:
        """What is minimized: the first plus the mean of the class's KL and of the cross-entropy, weighted.

        Args:
            reconstruction_and_kl: of one element.
            class_kl: gives (rows,), 0 where it does not count; not asked where its factor is 0.
            cross_entropy: (rows,), 0 where it does not count.
        """
        factor, total = self.label_kl if weights.label_kl is None else weights.label_kl, reconstruction_and_kl
        if factor:
            total = total + ops.mean(class_kl()) * factor
        return total + ops.mean(cross_entropy) * weights.label

    def consistent(self, total: Tensor, x, example, noise: Noise, logits: Tensor, known: Known, weights: Weights) -> Tensor:
        """What is minimized, and the cross-entropies of the distorted images, if any are asked for.

        Args:
            total: of one element.
            x, example, noise: as for cost().
            logits: (rows, classes), of the images as they are.
        """
        if not weights.consistency:
            return total
        moved = ops.distort(x, example, noise, image_shape=self.image_shape, shift=weights.shift, mirror=weights.mirror,
                            erase=weights.erase)
        with no_grad():
            target = (ops.softmax(logits * SHARPENED) * known.open * weights.consistency
                      + ops.multiply(known.labels, weights.label))
        return total + ops.mean(ops.cross_entropy(self.classifier(self.encoder(moved)), target))

    def known(self, labels, count: int) -> Known:
        """What is known of `count` rows with those labels; None for none."""
        labels = self.device.zeros((count, self.classes), self.dtype) if labels is None else labels
        return Known(labels, 1 - ops.sum(labels, axis=1, keepdims=True))


class SemiSupervised(ClassVAE):
    """A classifier and a VAE that share the encoder; the decoder takes the code and the class beside it.

    With a label the true one goes into the decoder, and the cross-entropy is a part of the cost; without, the predicted
    probabilities go in. The reported KL is that of the Gaussian code alone.

    As a model of images, without labels, it is p(z) p(y) p(x | z, y) with a normal code, one of the classes, each as probable
    as the others, and what the decoder makes of both: its likelihood is that one's, codes drawn from q(z | x).
    """

    bound_caveat = "the shared model's cost decodes predicted probabilities, where its likelihood sums over single classes"

    def proposals(self, x) -> list[Proposal]:
        return [Proposal(self.heads(self.encoder(x)).data, self.reconstruction, self.classes)]

    def heads_of(self, features: Tensor, label) -> Tensor:
        return self.heads(features)

    def cost(self, x, example, noise: Noise, weights: Weights = Weights(), labels=None) -> Cost:
        """The cost of a batch, with one draw of the code an example.

        Args:
            x, example, noise, weights: see VAE.cost.
            labels: (rows, classes), one-hot or zero; None for all zero.
        """
        known, features = self.known(labels, len(x)), self.encoder(x)
        logits, heads = self.classifier(features), self.heads(features)
        z, kl = ops.reparameterize(heads, example=example, noise=noise)
        reconstruction = self.likelihood(self.decode(z, known.open * ops.softmax(logits) + known.labels), x)
        total = self.total(objective(reconstruction, kl, heads, weights, self.group),
                           lambda: self.class_kl(logits) * ops.reshape(known.open, -1), ops.cross_entropy(logits, known.labels),
                           weights)
        total = self.consistent(total, x, example, noise, logits, known, weights)
        return Cost(total, reconstruction.data, kl.data)
