"""What the tape costs: Python's time for an operation, forward and backward, on tensors so small that nothing else counts.

    python bench/tape.py [--count N] [--rounds N]
"""

from __future__ import annotations

import argparse
import time

import needs

needs.require(__file__, __doc__)

import numpy as np  # noqa: E402

from minivae import ops  # noqa: E402
from minivae.device import cpu  # noqa: E402
from minivae.tensor import Tensor  # noqa: E402

SIZE = 4
CHAINS = {      # one operation of a chain: from the number so far and a constant leaf
    "tanh": lambda y, x: ops.tanh(y),
    "relu": lambda y, x: ops.relu(y),
    "y + 1": lambda y, x: y + 1.0,
    "y + c": lambda y, x: y + x,
    "y * c": lambda y, x: y * x,
    "reshape": lambda y, x: ops.reshape(y, (SIZE,)),
    "sum": lambda y, x: ops.sum(y, axis=0, keepdims=True),
    "softmax": lambda y, x: ops.softmax(y),
}


def microseconds(step, count: int, rounds: int) -> float:
    """The least time of an operation over some rounds of a chain of `count`, both ways."""
    device = cpu()
    leaf = Tensor(device.from_host(np.full(SIZE, 0.5, np.float32)), requires_grad=True)
    constant = Tensor(device.from_host(np.full(SIZE, 0.5, np.float32)))
    least = float("inf")
    for _ in range(rounds):
        leaf.clear_grad()
        began = time.perf_counter()
        y = leaf
        for _ in range(count):
            y = step(y, constant)
        y.backward(np.ones(y.shape, np.float32))
        least = min(least, (time.perf_counter() - began) / count)
    return least * 1e6


def main() -> None:
    """Print a line for each operation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="operations in a chain")
    parser.add_argument("--rounds", type=int, default=20, help="chains, of which the fastest counts")
    chosen = parser.parse_args()
    for name, step in CHAINS.items():
        print(f"{name:8} {microseconds(step, chosen.count, chosen.rounds):6.2f} us")


if __name__ == "__main__":
    main()
