"""The batches of a training: step by step through shuffled epochs, of one kind of images or of two in a fixed share."""

from __future__ import annotations

from copy import copy

import numpy as np

from minivae import ops
from minivae.data import Dataset
from minivae.device import Device
from minivae.ops.batch import Images
from minivae.ops.host_batch import placed
from minivae.ops.reparameterize import Noise
from minivae.training.labels import choose, classes_of, matrix

SHARE = 0.2     # of a batch, at least, are labelled images where there are both kinds


class Shuffled:
    """Batches through the images, in an order of its own for every epoch; the rest that fills no batch is left out.

    Args:
        images: the training set.
        batch_size: rows of a batch, at most as many as there are images.
        seed: of the orders.
    """

    def __init__(self, images: Images, batch_size: int, seed: int):
        self.images, self.batch_size, self.seed = images, batch_size, seed

    def of_size(self, batch_size: int) -> Shuffled:
        """The same with another batch size; the images are shared."""
        return Shuffled(self.images, batch_size, self.seed)

    def batch(self, number: int, noise: Noise, rows: tuple[int, int] | None = None, into=None):
        """(x, example) of training step `number`, counted from 0; see Images.batch.

        Args:
            rows: (begin, end) of those of the batch that are wanted; None for all.
        """
        begin, end = rows or (0, self.batch_size)
        epoch, place = divmod(number, self.images.count // self.batch_size)
        return self.images.batch(place * self.batch_size + begin, end - begin, noise, seed=self.seed, epoch=epoch, into=into)


class Mixture:
    """Batches of labelled and unlabelled images, in a share that is the same in all of them.

    The unlabelled rows come first. Each kind is shown in epochs of its own, shuffled anew for each; what is left of an epoch
    that is no multiple of the kind's rows is not shown in it. SHARE of a batch is labelled, or more where more of all images
    are, but no image is there twice; with no labels or all, all rows are of one kind.

    Args:
        images: all of the training set's, the labelled ones first.
        labels: of those, (labelled,).
        classes: how many there are.
        batch_size: rows of a batch.
        seed: of the orders.

    Attributes:
        labelled: how many rows of a batch are labelled.
    """

    def __init__(self, images: Images, labels: np.ndarray, classes: int, batch_size: int, seed: int):
        self.images, self.batch_size = images, batch_size
        self.labelled = labelled_rows(images.count, len(labels), batch_size)
        known, unknown = images.part(0, len(labels)), images.part(len(labels), images.count)
        self._known = Shuffled(known, self.labelled, seed)
        self._unknown = Shuffled(unknown, batch_size - self.labelled, seed)
        self._labels = matrix(labels, images.count, classes, images.device, images.dtype)

    def of_size(self, batch_size: int) -> Mixture:
        """The same with another batch size; the images are shared."""
        other = copy(self)
        other.batch_size = batch_size
        other.labelled = labelled_rows(self.images.count, self._known.images.count, batch_size)
        other._known, other._unknown = self._known.of_size(other.labelled), self._unknown.of_size(batch_size - other.labelled)
        return other

    def batch(self, number: int, noise: Noise, rows: tuple[int, int] | None = None):
        """The batch of training step `number`, counted from 0.

        Args:
            rows: (begin, end) of those of the batch that are wanted; None for all.

        Returns:
            x, example: see Images.batch.
            labels: (rows, classes), one-hot or zero.
        """
        begin, end = rows or (0, self.batch_size)
        device, count, unlabelled = self.images.device, end - begin, self.batch_size - self.labelled
        x, example = device.empty((count, self.images.pixels), self.images.dtype), device.empty((count,), np.int32)
        first = min(max(unlabelled - begin, 0), count)      # of the labelled rows among those that are wanted
        if first:
            self._unknown.batch(number, noise, (begin, begin + first), into=(x[:first], example[:first]))
        if first < count:       # through arrays of their own: memory that a kernel writes to is aligned
            x[first:], example[first:] = self._known.batch(number, noise, (begin + first - unlabelled, end - unlabelled))
        return x, example, ops.take(self._labels, example).data


def labelled_rows(count: int, labelled: int, batch_size: int) -> int:
    """How many rows of a batch are labelled, of `count` images among which so many are; see Mixture."""
    if labelled in (0, count):
        return batch_size if labelled else 0
    wanted = round(batch_size * max(SHARE, labelled / count))
    most, least = min(labelled, batch_size - 1), max(1, batch_size - (count - labelled))
    return max(least, min(wanted, most))


def of(dataset: Dataset, labels: int | None, batch_size: int, seed: int, device: Device, dtype, *, binarize: bool = False):
    """The batches of a training on a data set.

    Args:
        labels: how many images keep their label, chosen by the seed; None for a training that knows of none.
        binarize: see Images.

    Returns:
        A Shuffled or a Mixture; `images` has all of the set's images.

    Raises:
        UsageError: no such number of labels.
    """
    if labels is None:
        return Shuffled(placed(dataset.train_images, device, dtype, binarize=binarize), batch_size, seed)
    chosen = choose(dataset.train_labels, labels, seed)
    order = np.concatenate([chosen, np.setdiff1d(np.arange(len(dataset.train_images)), chosen)])
    images = placed(dataset.train_images, device, dtype, binarize=binarize, order=order)
    return Mixture(images, dataset.train_labels[chosen], classes_of(dataset.train_labels), batch_size, seed)
