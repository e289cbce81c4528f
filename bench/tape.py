"""What the tape costs: Python's time for an operation, forward and backward, on tensors so small that nothing else counts.

    .venv/bin/python bench/tape.py [--count N] [--rounds N] [--only NAME,NAME]

Chains of one operation after the other over 4 float32 numbers, then the way back; one chain of ours, and where torch is
installed one of PyTorch's eager mode, in turn. Times are medians over the rounds, in microseconds an operation; the ratio
is the median of those of the chains that stood side by side.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import needs

needs.require(__file__, __doc__)

import numpy as np  # noqa: E402

from minivae import ops  # noqa: E402
from minivae.device import cpu  # noqa: E402
from minivae.tensor import Tensor  # noqa: E402

SIZE = 4
WARM_UP = 3         # rounds that do not count
# One operation of a chain in minivae and in PyTorch: from the number so far, a constant vector c and a constant matrix m.
CHAINS: dict[str, tuple[Callable, Callable]] = {
    "tanh": (lambda y, c, m: ops.tanh(y), lambda y, c, m: y.tanh()),
    "relu": (lambda y, c, m: ops.relu(y), lambda y, c, m: y.relu()),
    "exp": (lambda y, c, m: ops.exp(y), lambda y, c, m: y.exp()),
    "-y": (lambda y, c, m: -y, lambda y, c, m: -y),
    "y + 1": (lambda y, c, m: y + 1.0, lambda y, c, m: y + 1.0),
    "y * 2": (lambda y, c, m: y * 2.0, lambda y, c, m: y * 2.0),
    "y + c": (lambda y, c, m: y + c, lambda y, c, m: y + c),
    "y * c": (lambda y, c, m: y * c, lambda y, c, m: y * c),
    "y / c": (lambda y, c, m: y / c, lambda y, c, m: y / c),
    "y * y": (lambda y, c, m: y * y, lambda y, c, m: y * y),
    "y @ m": (lambda y, c, m: y @ m, lambda y, c, m: y @ m),
    "reshape": (lambda y, c, m: ops.reshape(y, (SIZE,)), lambda y, c, m: y.reshape((SIZE,))),
    "y[:]": (lambda y, c, m: y[:], lambda y, c, m: y[:]),
    "sum": (lambda y, c, m: ops.sum(y, axis=0, keepdims=True), lambda y, c, m: y.sum(0, keepdim=True)),
    "mean": (lambda y, c, m: ops.mean(y, axis=0, keepdims=True), lambda y, c, m: y.mean(0, keepdim=True)),
    "softmax": (lambda y, c, m: ops.softmax(y), lambda y, c, m: y.softmax(-1)),
}


def minivaes(step: Callable, count: int) -> Callable:
    """A chain of `count` and its backward pass."""
    device = cpu()
    leaf = Tensor(device.from_host(np.full(SIZE, 0.5, np.float32)), requires_grad=True)
    c, m = (Tensor(device.from_host(array)) for array in (np.ones(SIZE, np.float32), np.eye(SIZE, dtype=np.float32)))

    def chain():
        leaf.clear_grad()
        y = leaf
        for _ in range(count):
            y = step(y, c, m)
        y.backward(np.ones(y.shape, np.float32))

    return chain


def pytorchs(step: Callable, count: int) -> Callable:
    """The same chain in PyTorch."""
    import torch

    leaf = torch.full((SIZE,), 0.5, requires_grad=True)
    c, m = torch.ones(SIZE), torch.eye(SIZE)

    def chain():
        leaf.grad = None
        y = leaf
        for _ in range(count):
            y = step(y, c, m)
        y.backward(torch.ones(y.shape))

    return chain


def microseconds(chains: list[Callable], count: int, rounds: int) -> list[list[float]]:
    """For each chain its times an operation, all taken in turn."""
    times: list[list[float]] = [[] for _ in chains]
    for number in range(rounds + WARM_UP):
        for chain, taken in zip(chains, times, strict=True):
            began = time.perf_counter()
            chain()
            if number >= WARM_UP:
                taken.append((time.perf_counter() - began) / count * 1e6)
    return times


def parse() -> argparse.Namespace:
    """The arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="operations in a chain")
    parser.add_argument("--rounds", type=int, default=30, help="chains of each operation that count")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CHAINS), help="some of the operations")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.only if name not in CHAINS]:
        parser.error(f"unknown operation {unknown[0]!r}: take some of {','.join(CHAINS)}")
    if min(chosen.count, chosen.rounds) < 1:
        parser.error("--count and --rounds are at least 1")
    return chosen


def main() -> None:
    """Print a line for each operation, the worst and the median."""
    chosen = parse()
    makers = [minivaes]
    if find_spec("torch") is None:
        print("PyTorch is not installed (pip install torch): minivae alone")
    else:
        import torch
        torch.set_num_threads(1)
        makers.append(pytorchs)
        print(f"minivae and PyTorch {torch.__version__}, us an operation, forward and backward")
    own, ratios = {}, {}
    for name in chosen.only:
        chains = [make(step, chosen.count) for make, step in zip(makers, CHAINS[name], strict=False)]
        ours, *others = microseconds(chains, chosen.count, chosen.rounds)
        own[name] = statistics.median(ours)
        line = f"{name:8} {own[name]:6.2f}"
        for other in others:
            ratios[name] = statistics.median(a / b for a, b in zip(ours, other, strict=True))
            line += f" {statistics.median(other):6.2f}   {ratios[name]:4.2f} times PyTorch's"
        print(line)
    for title, found, unit in (("time", own, "us"), ("ratio", ratios, "times PyTorch's")):
        if found:
            worst = max(found, key=found.get)
            print(f"{title}: median {statistics.median(found.values()):.2f}, worst {found[worst]:.2f} {unit} ({worst})")


if __name__ == "__main__":
    main()
