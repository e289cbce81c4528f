"""Both VAEs and their training in JAX: one jitted step, on channels-last arrays in minivae's own layouts.

Where XLA's CPU compiler is slow at the operation by name, it gets a formulation that it is fast at: maxima of slices
for max pooling, products and shifted sums for the transposed convolution. Their gradients by the names take ten
times as long.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"     # read when JAX is loaded

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import jaxlib  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

from minivae.errors import MinivaeError  # noqa: E402
from minivae.nn import batch_norms  # noqa: E402
from minivae.ops.batch_norm import EPSILON  # noqa: E402

ACTIVATIONS = {"identity": lambda x: x, "relu": jax.nn.relu, "tanh": jnp.tanh,
               "hard_tanh": lambda x: jnp.clip(x, -1, 1)}
POOL_THREAD = "tf_XLAEigen"     # the name of XLA's threads


def use_threads(count: int) -> None:
    """Check that XLA computes with that many threads; the environment's NPROC, if set before its start, decides.

    Raises:
        MinivaeError: it has another number, or the system does not tell.
    """
    jnp.zeros(1).block_until_ready()        # starts the threads
    try:
        names = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    except OSError as error:
        raise MinivaeError(f"cannot count JAX's threads: {error}") from error
    if names.count(POOL_THREAD) != count:
        raise MinivaeError(f"JAX cannot be held to {count} threads here: it has {names.count(POOL_THREAD)} that are "
                           f"called {POOL_THREAD}; choose another number with --threads")


def versions() -> dict[str, str]:
    """JAX's version and that of its compiler."""
    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__}


def convolution(x, w, pad: int):
    """What minivae's conv2d computes, with stride 1."""
    return lax.conv_general_dilated(x, w, (1, 1), ((pad, pad), (pad, pad)),
                                    dimension_numbers=("NHWC", "HWIO", "NHWC"))


def upsampled_convolution(x, w):
    """What minivae's conv2d_transpose computes with stride 2, a kernel of 3 x 3 and pad 1: twice the size.

    Along each axis y[2 i] = x[i] w[1] and y[2 i + 1] = x[i] w[2] + x[i + 1] w[0].
    """

    def interleaved(taps, axis):
        first, middle, last = taps
        after = lax.slice_in_dim(first, 1, None, axis=axis)
        after = jnp.pad(after, [(0, int(a == axis)) for a in range(first.ndim)])
        y = jnp.stack([middle, last + after], axis + 1)
        return y.reshape(*first.shape[:axis], 2 * first.shape[axis], *first.shape[axis + 1:])

    columns = jnp.einsum("nijc,abco->abnijo", x, w)
    return interleaved([interleaved(row, 2) for row in columns], 1)


def max_pool(x):
    """Maxima of 2 x 2 pixels.

    The gradient goes to equals in equal parts where minivae gives it all to the first. No parameter's gradient
    differs by that: such equals are patches of the images' empty background, which are alike wherever they lie.
    """
    x = jnp.maximum(x[:, ::2], x[:, 1::2])
    return jnp.maximum(x[:, :, ::2], x[:, :, 1::2])


class Network:
    """A minivae model as functions of its parameters, a dictionary by minivae's names.

    Args:
        like: the minivae model whose sizes and activations to take; its cost is the squared error.
        arch: "ff" or "conv".
    """

    def __init__(self, like, arch: str):
        self.image_shape, self.code = like.image_shape, like.code
        self.activations = {name.removesuffix(".norm"): norm.activation for name, norm in batch_norms(like)}
        self.encode, self.decode = (self._encode, self._decode) if arch == "conv" else (
            self._encode_flat, partial(self._stack, "decoder."))
        self.small, self.pads = getattr(like.decoder, "small", None), [conv.pad for conv in getattr(like.encoder, "down", ())]

    def costs(self, parameters, x, eps):
        """(cost, (cost, reconstruction, KL)), means over the batch of images x (rows, pixels) with noise eps."""
        mu, rho = jnp.split(self.encode(parameters, x), 2, axis=1)
        sigma = jax.nn.softplus(rho)
        y = self.decode(parameters, mu + sigma * eps)
        kl = (0.5 * (mu**2 + sigma**2 - 1) - jnp.log(sigma)).sum() / len(x)
        reconstruction = ((y - x)**2).sum() / len(x)
        return reconstruction + kl, (reconstruction + kl, reconstruction, kl)

    def _encode_flat(self, parameters, x):
        return self._dense("heads", parameters, self._stack("encoder.dense." if self.pads else "encoder.", parameters, x))

    def _encode(self, parameters, x):
        x = x.reshape(-1, *self.image_shape)
        for i, pad in enumerate(self.pads):
            name = f"encoder.down.{i}"
            x = max_pool(self._normalized(name, parameters, convolution(x, parameters[f"{name}.weight"], pad)))
        return self._encode_flat(parameters, x.reshape(len(x), -1))

    def _decode(self, parameters, z):
        y = self._dense("decoder.dense", parameters, z).reshape(-1, *self.small)
        for name in self._layers("decoder.up."):
            y = self._normalized(name, parameters, upsampled_convolution(y, parameters[f"{name}.weight"]))
        return y.reshape(len(y), -1)

    def _layers(self, start: str) -> list[str]:
        return [name for name in self.activations if name.startswith(start)]

    def _stack(self, start: str, parameters, x):
        for name in self._layers(start):
            x = self._dense(name, parameters, x)
        return x

    def _dense(self, name: str, parameters, x):
        return self._normalized(name, parameters, x @ parameters[f"{name}.weight"])

    def _normalized(self, name: str, parameters, x):
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axes)
        variance = ((x - mean)**2).mean(axes)
        scale = parameters[f"{name}.norm.gamma"] * lax.rsqrt(variance + EPSILON)
        return ACTIVATIONS[self.activations[name]]((x - mean) * scale + parameters[f"{name}.norm.beta"])


def updated(like, parameters, grads, state):
    """(parameters, state) after a step of minivae's RMSProp (minivae/optim/adaptive.py) with the settings of `like`."""
    norm = jnp.sqrt(sum((g**2).sum() for g in grads.values()))
    finite, scale = jnp.isfinite(norm), like.limit / jnp.maximum(like.limit, norm)
    after, new = {}, {key: {} for key in state}
    for name, p in parameters.items():
        g = jnp.where(finite, grads[name] * scale, 0.1 * p)
        square = like.decay * state["square"][name] + (1 - like.decay) * g**2
        average = like.decay * state["average"][name] + (1 - like.decay) * g
        change = like.lr * g / jnp.sqrt(jnp.maximum(square - average**2, like.floor**2))
        momentum = like.momentum * state["momentum"][name] - change
        after[name] = p + like.momentum * momentum - change
        for key, value in (("momentum", momentum), ("square", square), ("average", average)):
            new[key][name] = value
    return after, new


class Peer:
    """A minivae model and its training in JAX; names and layouts are minivae's on the outside.

    Args:
        like: the minivae model to copy.
        arch: "ff" or "conv".
        dtype: NumPy's.
    """

    def __init__(self, like, arch: str, dtype=np.float32):
        self.network, self.wide = Network(like, arch), np.dtype(dtype) == np.float64
        self.load({name: like.device.to_host(p.data) for name, p in like.named_parameters()})

    def load(self, values: dict[str, np.ndarray]) -> None:
        """Take over parameters by minivae's names."""
        with jax.enable_x64(self.wide):
            self.parameters = _copies(values)

    def gradients(self, x: np.ndarray, eps: np.ndarray) -> tuple[list[float], dict[str, np.ndarray]]:
        """([cost, reconstruction, KL], gradients by minivae's names) of images (rows, pixels), noise (rows, code)."""
        with jax.enable_x64(self.wide):
            grads, costs = jax.jit(jax.grad(self.network.costs, has_aux=True))(self.parameters, x, eps)
            return [cost.item() for cost in costs], _to_host(grads)

    def stepped(self, like, grads: dict, state: dict[str, dict]) -> dict[str, np.ndarray]:
        """The parameters after one step of an optimizer `like` minivae's, in that state, from those gradients."""
        with jax.enable_x64(self.wide):
            state = {key: _copies(arrays) for key, arrays in state.items()}
            return _to_host(jax.jit(partial(updated, like))(self.parameters, _copies(grads), state)[0])

    def stepper(self, like, images: np.ndarray, batch_size: int):
        """A function that makes one training step over those uint8 images, with an optimizer `like` minivae's."""
        return Stepper(self.network, self.parameters, like, images, batch_size).step


def _copies(arrays: dict) -> dict:
    # JAX may keep the memory of a NumPy array, which then must not change.
    return {name: jnp.array(array, copy=True) for name, array in arrays.items()}


def _to_host(arrays: dict) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, np.float64) for name, array in arrays.items()}


class Stepper:
    """Training steps over shuffled uint8 images, each one call of a jitted function.

    Args:
        network: the model.
        parameters: at the beginning.
        like: the minivae optimizer to take the settings from.
        images: uint8 (count, height, width, channels).
        batch_size: rows a step; the rest of an epoch is left out, as minivae does.
    """

    def __init__(self, network: Network, parameters: dict, like, images: np.ndarray, batch_size: int):
        self.images, self.batch_size = jnp.array(images.reshape(len(images), -1)), batch_size
        # XLA's own generator: JAX's default one takes longer.
        key = jax.random.key(0, impl="unsafe_rbg")
        parameters = _copies(parameters)        # the step takes their memory
        state = {name: {k: jnp.zeros_like(p) for k, p in parameters.items()} for name in like.state}
        self.carried = parameters, state, key, jnp.zeros(())
        self.rng, self.batches = np.random.default_rng(0), iter(())

        @partial(jax.jit, donate_argnums=0)
        def step(carried, images, rows):
            parameters, state, key, total = carried
            key, this = jax.random.split(key)
            x = images[rows].astype(jnp.float32) / 255
            eps = jax.random.normal(this, (batch_size, network.code))
            grads, (cost, _, _) = jax.grad(network.costs, has_aux=True)(parameters, x, eps)
            return *updated(like, parameters, grads, state), key, total + cost

        self.jitted = step

    def step(self) -> None:
        """One step, to its end; the cost is added up and not read, as in minivae."""
        self.carried = jax.block_until_ready(self.jitted(self.carried, self.images, self._rows()))

    def _rows(self) -> np.ndarray:
        rows = next(self.batches, None)
        if rows is None:
            order, size = self.rng.permutation(len(self.images)), self.batch_size
            self.batches = iter([order[i:i + size] for i in range(0, len(order) - size + 1, size)])
            rows = next(self.batches)
        return rows
