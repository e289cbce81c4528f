"""What the tests of convolutions share: the definitions, and a cost to take gradients of."""

import numpy as np

from minivae import ops


def reference(x, w, stride, pad):
    """Convolution by its definition, one tap at a time."""
    n, h, width, _ = x.shape
    kh, kw, _, outputs = w.shape
    padded = np.pad(x.astype(np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    oh, ow = (h + 2 * pad - kh) // stride + 1, (width + 2 * pad - kw) // stride + 1
    y = np.zeros((n, oh, ow, outputs))
    for a in range(kh):
        for b in range(kw):
            y += padded[:, a:a + oh * stride:stride, b:b + ow * stride:stride][:, :oh, :ow] @ w[a, b].astype(np.float64)
    return y


def reference_transpose(x, w, stride, pad, out_shape):
    """Each input pixel adds its kernel to the output."""
    n, h, width, _ = x.shape
    kh, kw, _, outputs = w.shape
    y = np.zeros((n, out_shape[0] + 2 * pad + kh, out_shape[1] + 2 * pad + kw, outputs))
    for i in range(h):
        for j in range(width):
            y[:, i * stride:i * stride + kh, j * stride:j * stride + kw] += np.einsum(
                "nc,abco->nabo", x[:, i, j].astype(np.float64), w.astype(np.float64))
    return y[:, pad:pad + out_shape[0], pad:pad + out_shape[1]]


def _flat(x):
    return ops.reshape(x, shape=(x.shape[0], -1))


def cost_of(device, rng, y_shape):
    target = device.from_host(rng.standard_normal((y_shape[0], int(np.prod(y_shape[1:])))))
    return lambda y: ops.mean(ops.squared_error(_flat(y), target))
