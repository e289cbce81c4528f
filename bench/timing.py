"""What a comparison needs besides minivae.timing: NumPy's BLAS, its products alone, and a report."""

from __future__ import annotations

import numpy as np
from threadpoolctl import ThreadpoolController

from minivae.errors import MinivaeError
from minivae.timing import STEPS, Part, spread


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


class Products:
    """A training step's matrix products: for each layer x W, x^T dy and, but for the first, dy W^T.

    Args:
        shapes: (inputs, outputs) of the layers.
        rows: the batch size.
    """

    def __init__(self, shapes: list[tuple[int, int]], rows: int):
        rng = np.random.default_rng(0)
        self.calls = []
        for number, (inputs, outputs) in enumerate(shapes):
            x, w, dy = (rng.standard_normal(shape, np.float32)
                        for shape in ((rows, inputs), (inputs, outputs), (rows, outputs)))
            y, dw, dx = np.empty_like(dy), np.empty_like(w), np.empty_like(x)
            self.calls += [(x, w, y), (x.T, dy, dw), (dy, w.T, dx)][:2 if number == 0 else 3]
        self.gflop = sum(2e-9 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in self.calls)

    def step(self) -> None:
        for a, b, out in self.calls:
            np.matmul(a, b, out=out)


def report_of(parts: list[Part], gflop: float, ratios: list[tuple[str, str]]) -> dict:
    """All numbers of the timing.

    Args:
        gflop: of a step's matrix products; the rest of a step is not counted.
        ratios: names of parts, (numerator, denominator); taken in each round, so that a slow minute cancels.
    """
    ms = {part.name: part.ms for part in parts}
    report = {"gflop_of_products": gflop, "steps_per_sample": STEPS, "parts": {}, "ratios": {}}
    for part in parts:
        own = float(np.mean([sample.own for sample in part.samples]))
        known = [sample.others for sample in part.samples if sample.others is not None]
        report["parts"][part.name] = {
            "unit": "ms/step", **spread(part.ms), "gflop_per_s": float(gflop / np.median(part.ms) * 1e3),
            "processors": own, "processors_of_others": float(np.mean(known)) if known else None,
            "samples": [sample._asdict() for sample in part.samples]}
    for above, below in ratios:
        values = ms[above] / ms[below]
        report["ratios"][f"{above} / {below}"] = {**spread(values), "samples": values.tolist()}
    return report
