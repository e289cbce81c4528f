"""M2 of Kingma et al. 2014, "Semi-supervised learning with deep generative models": the class as a latent variable."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from minivae import ops
from minivae.models.likelihoods import Likelihood
from minivae.models.semi import ClassVAE
from minivae.models.vae import Cost, Networks, Place, Proposal, Weights, objective
from minivae.nn import Dense
from minivae.ops.reparameterize import Noise
from minivae.ops.shape import repeat_rows
from minivae.tensor import Tensor


class M2(ClassVAE):
    """p(x | y, z) p(y) p(z) with q(y | x) q(z | x, y): the class of an unlabelled image is summed out.

    The encoder's features and the class go through one more layer (ReLU, as wide as the features) to the heads. Every
    row is passed under every class, labelled or not, all in one batch, so that batch norm sees the same of both; the
    classes weigh q(y | x) each, or 1 and 0 where the label is known. The reported KL is that of code and class, so that
    reconstruction + KL is the paper's bound: on -log p(x, y) for labelled images, -log p(x) for the others.
    """

    label_kl = 1.0

    def __init__(self, networks: Networks, image_shape: tuple[int, int, int], code: int, classes: int, likelihood: Likelihood,
                 place: Place):
        super().__init__(networks, image_shape, code, classes, likelihood, place)
        self.draws = classes
        self.join = Dense(networks.width + classes, networks.width, "relu", *place)
        self.every = self.device.from_host(np.eye(classes, dtype=self.dtype))

    def heads_of(self, features: Tensor, label) -> Tensor:
        return self.heads(self.join(ops.concatenate([features, label], axis=1)))

    def proposals(self, x) -> list[Proposal]:
        """q(z | x, y) for every class y: p(x) is the mean of p(x | y), each sampled by its own."""
        features = self.encoder(x)
        return [Proposal(self.heads_of(features, self.one_hot(np.full(len(x), y))).data, partial(self._cost_of_class, y))
                for y in range(self.classes)]

    def _cost_of_class(self, y: int, z, x) -> Tensor:
        """-log p(x | z, y), (rows,), of codes z (rows, code)."""
        return self.likelihood(self.decode(z, self.one_hot(np.full(len(z), y))), x)

    def cost(self, x, example, noise: Noise, weights: Weights = Weights(), labels=None) -> Cost:
        """The cost of a batch, with one draw of the code for every example and class.

        Args:
            x, example, noise, weights: see VAE.cost.
            labels: (rows, classes), one-hot or zero; None for all zero.
        """
        count, classes = len(x), self.classes
        known, features = self.known(labels, count), self.encoder(x)
        logits = self.classifier(features)
        share = known.open * ops.softmax(logits) + known.labels
        # Row image * classes + class from here on.
        y = ops.reshape(ops.broadcast_to(ops.reshape(self.every, (1, classes, classes)), (count, classes, classes)),
                        (count * classes, classes))
        heads = self.heads_of(repeat_rows(features, classes), y)
        z, kl = ops.reparameterize(heads, example=example, noise=noise)
        reconstruction, kl = (ops.sum(ops.reshape(part, (count, classes)) * share, axis=1)
                              for part in (self.likelihood(self.decode(z, y), x), kl))
        # KL(one-hot || uniform) = log classes
        open_ = ops.reshape(known.open, -1)
        class_kl = self.class_kl(logits) * open_ + (1 - open_) * math.log(classes)
        total = self.total(objective(reconstruction, kl, heads, weights, self.group, share), lambda: class_kl,
                           ops.cross_entropy(logits, known.labels), weights)
        total = self.consistent(total, x, example, noise, logits, known, weights)
        return Cost(total, reconstruction.data, (kl + class_kl).data)
