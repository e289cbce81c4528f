"""Predicts how training scales over GPUs, on paper: bytes a step, bandwidth and latency of named machines.

    python bench/scale_model.py

Nothing here is measured. The GPU's own time of a step is that of bench/gpu_cost.py; a step takes as long as the GPU or
as Python, whichever is longer, and then what its collectives take, none of which is hidden behind anything:

    sum of n bytes over p processes (ring):     2 (p - 1) / p  n / bandwidth + latency
    gather of n bytes of each of p:             (p - 1) n / bandwidth + latency
    latency:                                    START + HOP_INSIDE log2(GPUs of a machine) + HOP log2(machines)

The bandwidth is that of a GPU's slowest link on the way: inside of one machine its own, else its share of the network.
"""

from __future__ import annotations

import math
from typing import NamedTuple

START = 10e-6           # seconds that the smallest collective takes at least: a launch on every GPU, and that they meet
PYTHON = 11e-6          # seconds of Python for each launch: 0.6 ms for the 52 of ff (docs/gpu.md)
JOINT_LAUNCHES = 6      # more for each layer: summary, gather and join; sum of the slabs, sum over the processes, part


class Machine(NamedTuple):
    """Several GPUs and their network: bytes/s of one GPU each way, seconds for each doubling."""

    name: str
    gpus: int
    inside: float
    network: float
    hop_inside: float
    hop: float


MACHINES = (Machine("8 x H100 SXM, NVLink 4 (450 GB/s each way), 400 Gb/s InfiniBand a GPU", 8, 450e9, 50e9, 1e-6, 5e-6),
            Machine("8 x RTX 4090, PCIe 4.0 x16 through the host (20 GB/s), 100 Gb/s Ethernet a machine", 8, 20e9, 12.5e9 / 8,
                    3e-6, 15e-6))


class Model(NamedTuple):
    """An architecture: its batch on each GPU, launches, GPU seconds on the two machines' GPUs, parameters, batch norms and
    their channels."""

    name: str
    batch: int
    launches: int
    seconds: tuple[float, float]
    parameters: int
    layers: int
    channels: int


FF = Model("ff", 1000, 52, (261e-6, 337e-6), 1_892_384, 8, 4_112)
CONV = Model("conv", 128, 75, (547e-6, 1321e-6), 7_111_554, 7, 8_065)
LARGER = 16             # so many times the batch, and the GPU's time
MODELS = [model._replace(batch=factor * model.batch, seconds=tuple(factor * one for one in model.seconds))
          for factor in (1, LARGER) for model in (FF, CONV)]
SIZES = (8, 64, 512)


class Step(NamedTuple):
    """Seconds of one step on p GPUs: computing, the sum of the gradient, batch norm's collectives."""

    computing: float
    gradient: float
    norms: float

    @property
    def all(self) -> float:
        return sum(self)


def step(model: Model, machine: Machine, size: int, local: bool = False) -> Step:
    """The predicted time on so many GPUs, each with model.batch images; `local` is --local-bn."""
    launches = model.launches + (0 if local or size == 1 else JOINT_LAUNCHES * model.layers)
    computing = max(model.seconds[MACHINES.index(machine)], launches * PYTHON)
    if size == 1:
        return Step(computing, 0.0, 0.0)
    machines = -(-size // machine.gpus)
    rate = machine.inside if machines == 1 else machine.network
    latency = START + machine.hop_inside * math.log2(min(size, machine.gpus)) + machine.hop * math.log2(machines)
    ring = 2 * (size - 1) / size / rate
    norms = 0.0 if local else (2 * model.layers * latency + 4 * model.channels * (3 * (size - 1) / rate + 2 * ring))
    return Step(computing, 4 * model.parameters * ring + latency, norms)


def main() -> None:
    for machine in MACHINES:
        print(f"\n**{machine.name}**\n\n| model, images a GPU | GPUs | computing | sum of the gradient | batch norm "
              "| efficiency | with `--local-bn` |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for model in MODELS:
            alone = step(model, machine, 1).all
            for size in SIZES:
                found, local = step(model, machine, size), step(model, machine, size, local=True)
                print(f"| {model.name}, {model.batch:,} | {size} | {found.computing * 1e3:.2f} ms "
                      f"| {found.gradient * 1e3:.2f} ms | {found.norms * 1e3:.2f} ms | {alone / found.all:.0%} | {alone / local.all:.0%} |")


if __name__ == "__main__":
    main()
