"""The training step of bench/engines.py, as a user of each engine would write it."""

from __future__ import annotations

import numpy as np

from minivae import data, nn, ops, optim
from minivae.device import cpu

SIZES, BATCH, RATE, MOMENTUM = (784, 256, 128, 10), 128, 0.05, 0.9


def problem():
    """(weights and biases in turn, batches of (images, labels)), float32 and int32."""
    rng, digits = np.random.default_rng(0), data.load("digits")
    values = [value.astype(np.float32) for sizes in zip(SIZES, SIZES[1:])
              for value in (nn.glorot(rng, *sizes), np.zeros(sizes[1]))]
    images = digits.train_images.reshape(len(digits.train_images), -1).astype(np.float32) / np.float32(255)
    labels, count = digits.train_labels.astype(np.int32), len(images) // BATCH
    pieces = (slice(i * BATCH, (i + 1) * BATCH) for i in range(count))
    return values, [(images[piece].copy(), labels[piece].copy()) for piece in pieces]


class Momentum:
    """Gradient descent with momentum over NumPy arrays, in place."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.changes = [np.zeros_like(p) for p in parameters]

    def __call__(self, gradients) -> None:
        for p, change, g in zip(self.parameters, self.changes, gradients, strict=True):
            change *= np.float32(MOMENTUM)
            change -= np.float32(RATE) * g
            p += change


def minivae_step(values, batches):
    """See MAKERS."""
    device, rng = cpu(), np.random.default_rng(0)
    layers = [nn.Linear(*sizes, rng, device) for sizes in zip(SIZES, SIZES[1:])]
    model = nn.Sequential(layers[0], ops.relu, layers[1], ops.relu, layers[2])
    model.load_state_dict(dict(zip((name for name, _ in model.named_parameters()), values, strict=True)))
    optimizer = optim.Momentum(nn.Flat(model, device), lr=RATE, momentum=MOMENTUM)

    def step(number: int) -> float:
        images, labels = batches[number % len(batches)]
        cost = ops.mean(ops.cross_entropy(model(images), labels))
        cost.backward()
        optimizer.step()
        return cost.item()

    return step


def mygrad_step(values, batches):
    """See MAKERS."""
    import mygrad
    from mygrad.nnet.activations import relu
    from mygrad.nnet.losses import softmax_crossentropy
    mygrad.turn_memory_guarding_off()       # as its documentation has it for speed
    parameters = [mygrad.tensor(value.copy()) for value in values]
    descend = Momentum([parameter.data for parameter in parameters])

    def step(number: int) -> float:
        x, labels = batches[number % len(batches)]
        for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = relu(x @ w + b)
        cost = softmax_crossentropy(x @ parameters[-2] + parameters[-1], labels)
        cost.backward()
        descend([parameter.grad for parameter in parameters])
        return cost.item()

    return step


def autograd_step(values, batches):
    """See MAKERS."""
    import autograd
    import autograd.numpy as anp
    parameters = [value.copy() for value in values]
    descend, each = Momentum(parameters), np.arange(BATCH)

    def cost_of(parameters, x, labels):
        for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = x @ w + b
            x = x * (x > 0)     # faster both ways than its maximum
        x = x @ parameters[-2] + parameters[-1]
        x = x - anp.max(x, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(x), axis=1)) - x[each, labels])

    both = autograd.value_and_grad(cost_of)

    def step(number: int) -> float:
        cost, gradients = both(parameters, *batches[number % len(batches)])
        descend(gradients)
        return float(cost)

    return step


def tinygrad_step(values, batches):
    """See MAKERS."""
    from tinygrad import Context, Tensor, TinyJit
    from tinygrad.nn.optim import SGD
    parameters = [Tensor(value).realize() for value in values]
    optimizer = SGD(parameters, lr=RATE, momentum=MOMENTUM)
    batches = [(Tensor(images).realize(), Tensor(labels).realize()) for images, labels in batches]

    @TinyJit
    def captured(x, labels):
        optimizer.zero_grad()
        for w, b in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = (x @ w + b).relu()
        cost = (x @ parameters[-2] + parameters[-1]).sparse_categorical_crossentropy(labels)
        cost.backward()
        return cost.realize(*optimizer.schedule_step())

    def step(number: int) -> float:
        with Context(TRAINING=1):       # its optimizers ask for it
            return captured(*batches[number % len(batches)]).item()

    return step


# Of (weights and biases, batches): a function of a step's number that makes the step and gives its cost.
MAKERS = {"minivae": minivae_step, "mygrad": mygrad_step, "autograd": autograd_step, "tinygrad": tinygrad_step}
