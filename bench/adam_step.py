"""An Adam step over the feed-forward model's parameters: minivae's, and PyTorch's default and fused ones, in turn.

    .venv/bin/pip install torch
    .venv/bin/python bench/adam_step.py

The same tensors with the same gradients, in one process, interleaved; the times are medians. PyTorch's default on a CPU
is its foreach version where that is asked for, else a loop over the tensors; both are timed.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time

import needs

needs.require(__file__, __doc__, "torch")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from minivae import device as devices  # noqa: E402
from minivae.models import build  # noqa: E402
from minivae.nn import Flat  # noqa: E402
from minivae.optim import Adam  # noqa: E402


def subjects(threads: int) -> dict:
    """Title to (step, parameters as one vector); all begin with the same parameters and gradients."""
    device = devices.cpu()
    device.threads = threads
    torch.set_num_threads(threads)
    model = build("ff", (28, 28, 1), device)
    flat, rng = Flat(model, device), np.random.default_rng(0)
    gradients = [rng.standard_normal(p.shape, np.float32) for p in flat.parameters]

    def ours(limit):
        optimizer = Adam(flat, limit=limit)

        def step():
            for p in flat.parameters:
                p._fresh = False        # the gradients are there: a backward pass would have made them
            optimizer.step()
        return step

    for p, g in zip(flat.parameters, gradients, strict=True):
        p._grad[...] = g
    made = {"minivae": ours(None), "minivae, with the norm": ours(math.inf)}
    for title, how in (("foreach", {"foreach": True}), ("fused", {"fused": True}), ("one by one", {"foreach": False})):
        tensors = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in flat.parameters]
        for tensor, g in zip(tensors, gradients, strict=True):
            tensor.grad = torch.from_numpy(g.copy())
        made[f"PyTorch, {title}"] = torch.optim.Adam(tensors, lr=1e-3, **how).step
    print(f"{flat.count:,} parameters in {len(gradients)} tensors, {threads} threads, PyTorch {torch.__version__}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--steps", type=int, default=5, help="in a row, of which the mean is taken")
    parser.add_argument("--threads", type=int, default=devices.cpu().threads)
    arguments = parser.parse_args()
    steps = subjects(arguments.threads)
    times = {title: [] for title in steps}
    for number in range(arguments.rounds + 3):
        for title, step in steps.items():
            step()
            began = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            if number >= 3:     # the first rounds warm up
                times[title].append((time.perf_counter() - began) / arguments.steps)
    ours = times["minivae"]
    for title, taken in times.items():
        ratio = statistics.median(t / o for t, o in zip(taken, ours, strict=True))
        print(f"{title:24} {1e3 * statistics.median(taken):7.3f} ms   {ratio:5.2f} times minivae's")


if __name__ == "__main__":
    main()
