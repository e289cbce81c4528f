"""A training step's matrix products alone, in NumPy: what the rest of a step comes on top of."""

from __future__ import annotations

import numpy as np
from threadpoolctl import ThreadpoolController

from minivae.errors import MinivaeError


class NumpyBlas:
    """The threads of NumPy's own BLAS, which rest at one while others are timed.

    To be made before PyTorch is imported, whose BLAS is then left alone.
    """

    def __init__(self, threads: int):
        self.threads, self.controller = threads, ThreadpoolController().select(user_api="blas")
        self.name = "; ".join(f"{i['internal_api']} {i['version']} ({i.get('architecture', '?')})"
                              for i in self.controller.info()) or "unknown, its threads cannot be set"

    def many(self) -> None:
        self._set(self.threads)

    def one(self) -> None:
        self._set(1)

    def _set(self, threads: int) -> None:
        self.controller.limit(limits=threads)
        if any(library["num_threads"] != threads for library in self.controller.info()):
            raise MinivaeError(f"NumPy's BLAS does not take {threads} threads: choose fewer with --threads")


def products_of(model, batch_size: int) -> list[tuple[int, int, int]]:
    """(rows, inputs, outputs) of the products x W of a minivae model's layers, in the order of the forward pass.

    A convolution's x are the columns of its images, a row for each pixel; a transposed one's y are columns, and its
    rows the pixels that it takes.
    """

    def product(layer, rows: int) -> tuple[int, int, int]:
        *kernel, inputs, outputs = layer.weight.shape
        taps = int(np.prod(kernel))
        return (rows, inputs, taps * outputs) if getattr(layer, "up", False) else (rows, taps * inputs, outputs)

    # A pool by 2 follows each convolution, and each transposed one doubles the size.
    down, up = getattr(model.encoder, "down", ()), getattr(model.decoder, "up", ())
    pixels = model.image_shape[0] * model.image_shape[1]
    dense = (*(model.encoder.dense if down else model.encoder), model.heads, *([model.decoder.dense] if up else model.decoder))
    return [*(product(layer, batch_size * pixels // 4**i) for i, layer in enumerate(down)),
            *(product(layer, batch_size) for layer in dense),
            *(product(layer, batch_size * pixels // 4**(len(up) - i)) for i, layer in enumerate(up))]


class Products:
    """For each layer x W, x^T dy and, but for the first, dy W^T.

    Args:
        shapes: (rows, inputs, outputs) of the products x W.
    """

    def __init__(self, shapes: list[tuple[int, int, int]]):
        rng = np.random.default_rng(0)
        self.calls = []
        for number, (rows, inputs, outputs) in enumerate(shapes):
            x, w, dy = (rng.standard_normal(shape, np.float32)
                        for shape in ((rows, inputs), (inputs, outputs), (rows, outputs)))
            y, dw, dx = np.empty_like(dy), np.empty_like(w), np.empty_like(x)
            self.calls += [(x, w, y), (x.T, dy, dw), (dy, w.T, dx)][:2 if number == 0 else 3]
        self.gflop = sum(2e-9 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in self.calls)

    def step(self) -> None:
        """All of them, one after the other."""
        for a, b, out in self.calls:
            np.matmul(a, b, out=out)
