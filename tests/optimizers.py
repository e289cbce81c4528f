"""The optimizers' equations in float64, as their papers have them: plain NumPy, one function a step.

Each takes the parameters, the gradient after what is done to it first, the step's number from 1, and a State that it
keeps its arrays in; it returns the new parameters. Numbers are the classes' defaults.
"""

import numpy as np

SEGMENTS = (slice(0, 35), slice(35, 38))        # the tensors of the vector of parameters, for LAMB


class State(dict):
    """What an optimizer remembers; zero at first."""

    def __missing__(self, key):
        return 0.0


def sgd(p, g, t, s, lr):
    return p - lr * g


def momentum(p, g, t, s, lr, mu=0.9):
    s["m"] = mu * s["m"] - lr * g
    return p + s["m"]


def nesterov(p, g, t, s, lr, mu=0.9):
    s["m"] = mu * s["m"] - lr * g
    return p + mu * s["m"] - lr * g


def adagrad(p, g, t, s, lr, eps=1e-10):
    s["s"] = s["s"] + g**2
    return p - lr * g / (np.sqrt(s["s"]) + eps)


def adadelta(p, g, t, s, lr, d=0.95, eps=1e-6):
    s["n"] = d * s["n"] + (1 - d) * g**2
    step = np.sqrt(s["u"] + eps) / np.sqrt(s["n"] + eps) * g
    s["u"] = d * s["u"] + (1 - d) * step**2
    return p - lr * step


def rmsprop_plain(p, g, t, s, lr, d=0.9, eps=1e-8):
    s["n"] = d * s["n"] + (1 - d) * g**2
    return p - lr * g / (np.sqrt(s["n"]) + eps)


def centred(g, s, d):
    s["n"] = d * s["n"] + (1 - d) * g**2
    s["a"] = d * s["a"] + (1 - d) * g
    return s["n"] - s["a"]**2


def rmsprop_centred(p, g, t, s, lr, d=0.95, eps=1e-4):
    return p - lr * g / np.sqrt(centred(g, s, d) + eps)


def rmsprop_momentum(p, g, t, s, lr, mu=0.9, d=0.95, eps=1e-4):
    s["m"] = mu * s["m"] - lr * g / np.sqrt(centred(g, s, d) + eps)
    return p + s["m"]


def rmsprop(p, g, t, s, lr, mu=0.9, d=0.9, floor=1e-4):
    step = lr * g / np.maximum(np.sqrt(np.maximum(centred(g, s, d), 0)), floor)
    s["m"] = mu * s["m"] - step
    return p + mu * s["m"] - step


def moments(g, t, s, b1, b2):
    """m^ and v^."""
    s["m"], s["v"] = b1 * s["m"] + (1 - b1) * g, b2 * s["v"] + (1 - b2) * g**2
    return s["m"] / (1 - b1**t), s["v"] / (1 - b2**t)


def adam(p, g, t, s, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, v = moments(g, t, s, b1, b2)
    return p - lr * m / (np.sqrt(v) + eps)


def adamw(p, g, t, s, lr, b1=0.9, b2=0.999, eps=1e-8, weight_decay=0.01):
    m, v = moments(g, t, s, b1, b2)
    return p - lr * (m / (np.sqrt(v) + eps) + weight_decay * p)


def amsgrad(p, g, t, s, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, _ = moments(g, t, s, b1, b2)
    s["x"] = np.maximum(s["x"], s["v"])
    return p - lr * m / (np.sqrt(s["x"] / (1 - b2**t)) + eps)


def adamax(p, g, t, s, lr, b1=0.9, b2=0.999, eps=1e-8):
    s["m"] = b1 * s["m"] + (1 - b1) * g
    s["u"] = np.maximum(b2 * s["u"], np.abs(g) + eps)
    return p - lr / (1 - b1**t) * s["m"] / s["u"]


def nadam(p, g, t, s, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, v = moments(g, t, s, b1, b2)
    mu = [b1 * (1 - 0.5 * 0.96**(i / 250)) for i in range(1, t + 2)]
    ahead = mu[t] * s["m"] / (1 - np.prod(mu)) + (1 - mu[t - 1]) * g / (1 - np.prod(mu[:t]))
    return p - lr * ahead / (np.sqrt(v) + eps)


def radam(p, g, t, s, lr, b1=0.9, b2=0.999, eps=1e-8):
    m, v = moments(g, t, s, b1, b2)
    most = 2 / (1 - b2) - 1
    rho = most - 2 * t * b2**t / (1 - b2**t)
    if rho <= 4:
        return p - lr * m
    r = np.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
    return p - lr * r * m / (np.sqrt(v) + eps)


def lion(p, g, t, s, lr, b1=0.9, b2=0.99, weight_decay=0.0):
    step = np.sign(b1 * s["m"] + (1 - b1) * g)
    s["m"] = b2 * s["m"] + (1 - b2) * g
    return p - lr * (step + weight_decay * p)


def lamb(p, g, t, s, lr, b1=0.9, b2=0.999, eps=1e-6, weight_decay=0.01):
    m, v = moments(g, t, s, b1, b2)
    r, new = m / (np.sqrt(v) + eps) + weight_decay * p, p.copy()
    for part in SEGMENTS:
        size, step = np.linalg.norm(p[part]), np.linalg.norm(r[part])
        new[part] = p[part] - lr * (size / step if size > 0 and step > 0 else 1) * r[part]
    return new


STATEMENTS = {"sgd": sgd, "momentum": momentum, "nesterov": nesterov, "adagrad": adagrad, "adadelta": adadelta,
              "rmsprop-plain": rmsprop_plain, "rmsprop-centred": rmsprop_centred, "rmsprop-momentum": rmsprop_momentum,
              "rmsprop": rmsprop, "adam": adam, "amsgrad": amsgrad, "adamw": adamw, "adamax": adamax, "nadam": nadam,
              "radam": radam, "lion": lion, "lamb": lamb}
DECOUPLED = ("adamw", "lion", "lamb")           # weight decay is part of their own equations


def stated(name, p, grads, lr, *, limit=None, clip=None, weight_decay=None):
    """The parameters after steps with those gradients; what is None is not done, a weight decay that is None is the
    optimizer's own."""
    state, own = State(), {}
    if weight_decay is not None and name in DECOUPLED:
        own, weight_decay = {"weight_decay": weight_decay}, None
    for t, g in enumerate(grads, 1):
        if limit is not None:
            norm = np.sqrt((g**2).sum())
            g = 0.1 * p if not np.isfinite(norm) else g if np.isinf(limit) else g * limit / max(limit, norm)
        if clip is not None:
            g = np.clip(g, -clip, clip)
        p = STATEMENTS[name](p, g + (weight_decay or 0) * p, t, state, lr, **own)
    return p
