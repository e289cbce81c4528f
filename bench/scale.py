"""Two processes of one thread against one process of two: throughput, what the sums cost, whether overlapping them
would pay.

    python bench/scale.py [--rounds 7] [--seconds 4] [--arch ff,conv] [--mpiexec PATH] [--overlap]

Starts the two by turns, each of which warms up and then makes training steps for so many seconds, and compares them round by
round. Needs as many processors as threads in all, 2, and nobody else on them: processes wait for each other by looking.
--overlap times instead the sum of a gradient in one piece after some work against sums of its pieces that are begun
within the work, as they would be in a backward pass.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import needs

needs.require(__file__, __doc__, "mpi4py")

import numpy as np  # noqa: E402

from minivae import data  # noqa: E402
from minivae.bench import iterations  # noqa: E402
from minivae.device import cpu  # noqa: E402
from minivae.parallel import mpi  # noqa: E402
from minivae.training.trainer import Trainer  # noqa: E402

WARM_UP = 5             # steps
LARGE = 1 << 14         # numbers: of more are the gradient and the parameters alone
GRADIENT, BATCH_NORM = "gradient", "batch norm"
WORK = 8                # pieces of work in a backward pass, of which each bucket has some


class Watched:
    """Adds up the seconds that a process spends in the sums, gathers and exchanges of its group."""

    def __init__(self, group):
        self.seconds = {GRADIENT: 0.0, BATCH_NORM: 0.0}
        for name in ("sum", "gather", *(("sum_part", "spread") if group.divides else ())):
            setattr(group, name, self._timed(getattr(group, name)))

    def _timed(self, call):
        def timed(array):
            began = time.perf_counter()
            found = call(array)
            self.seconds[GRADIENT if array.size > LARGE else BATCH_NORM] += time.perf_counter() - began
            return found

        return timed


def worker(arch: str, seconds: float) -> None:
    """One of the processes: trains for so long, and process 0 prints what it found."""
    world = mpi.world()
    group = mpi.group(world, cpu())
    watched = Watched(group) if world else None
    trainer = Trainer(iterations.settings_of([arch])[0], data.load(iterations.DATA), cpu(), group=group)
    for number in range(WARM_UP):
        trainer.step(number)
    if watched:
        watched.seconds = dict.fromkeys(watched.seconds, 0.0)
    group.exchange(None)
    began, worked, number, enough = time.perf_counter(), time.process_time(), WARM_UP, False
    while not enough:
        trainer.step(number)
        number += 1
        if number % 5 == 0:
            enough = group.exchange(time.perf_counter() - began > seconds)[0]
    took, steps = time.perf_counter() - began, number - WARM_UP
    worked = sum(group.exchange(time.process_time() - worked))
    found = {"images/s": steps * trainer.settings.batch_size / took, "ms": took / steps * 1e3,
             "processor ms": worked / steps * 1e3,
             **({name: spent / steps * 1e3 for name, spent in watched.seconds.items()} if watched else {})}
    if mpi.leads(world):
        print(json.dumps(found))


def overlapped(seconds: float) -> None:
    """Of two processes: the time of WORK pieces of work and the sums of a gradient in 1, 2 and 4 buckets begun within it."""
    from mpi4py import MPI

    mpi.world()
    comm, rng = MPI.COMM_WORLD, np.random.default_rng(0)
    gradient, a = np.ones(2_200_000, np.float32), rng.standard_normal((512, 512)).astype(np.float32)
    gradient = gradient[:gradient.size // 16 * 16]

    def once(buckets: int, begun_within: bool) -> float:
        comm.Barrier()
        began, requests = time.perf_counter(), []
        for piece in range(WORK):
            for _ in range(4):
                cpu().matmul(a, a)
            if begun_within and (piece + 1) % (WORK // buckets) == 0:
                part = np.split(gradient, buckets)[(piece + 1) // (WORK // buckets) - 1]
                requests.append(comm.Iallreduce(MPI.IN_PLACE, part))
        if not begun_within:
            comm.Allreduce(MPI.IN_PLACE, gradient)
        MPI.Request.Waitall(requests)
        return (time.perf_counter() - began) * 1e3

    ways = {"one sum after the work": (1, False), **{f"{n} sums begun within it": (n, True) for n in (1, 2, 4)}}
    times: dict[str, list[float]] = {name: [] for name in ways}
    until = time.perf_counter() + seconds
    while not comm.bcast(time.perf_counter() > until):
        for name, way in ways.items():
            times[name].append(once(*way))
    if comm.rank == 0:
        print(json.dumps({name: float(np.median(taken)) for name, taken in times.items()}))


def started(mpiexec: str, size: int, threads: int, *arguments) -> dict:
    """What so many processes print, each with so many threads."""
    launcher = [mpiexec, "-n", str(size)] if size > 1 else []
    environment = {**os.environ, "MINIVAE_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([*launcher, sys.executable, "-P", __file__, *map(str, arguments)], env=environment,
                          stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--arch", default="ff,conv")
    beside = shutil.which("mpiexec", path=Path(sys.executable).parent)
    parser.add_argument("--mpiexec", default=beside or shutil.which("mpiexec"))
    parser.add_argument("--overlap", action="store_true")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.worker:
        overlapped(told.seconds) if told.worker == "overlap" else worker(told.worker, told.seconds)
        return
    if told.mpiexec is None:
        sys.exit("scale.py needs mpiexec: pip install mpich, or name one with --mpiexec")
    if told.overlap:
        for name, ms in started(told.mpiexec, 2, 1, "--worker", "overlap", "--seconds", told.seconds).items():
            print(f"{ms:8.2f} ms  {name}")
        return
    for arch in told.arch.split(","):
        rounds = [[started(told.mpiexec, size, threads, "--worker", arch, "--seconds", told.seconds)
                   for size, threads in ((1, 2), (2, 1))[::1 if number % 2 == 0 else -1]] for number in range(told.rounds)]
        pairs = [pair if number % 2 == 0 else pair[::-1] for number, pair in enumerate(rounds)]
        ratios = sorted(two["images/s"] / one["images/s"] for one, two in pairs)
        one, two = ({name: float(np.median([pair[which][name] for pair in pairs])) for name in pairs[0][which]}
                    for which in (0, 1))
        print(f"{arch}, batch {iterations.BATCH_SIZES[arch]}: one process of 2 threads {one['images/s']:,.0f} images/s "
              f"({one['ms']:.1f} ms), two of 1 thread {two['images/s']:,.0f} ({two['ms']:.1f} ms): {np.median(ratios):.3f} times "
              f"({ratios[0]:.3f} - {ratios[-1]:.3f})")
        print(f"    processor time of a step, of all threads: {one['processor ms']:.1f} and {two['processor ms']:.1f} ms")
        print(f"    of a step the two spend, waiting for each other included, {two[GRADIENT]:.2f} ms in the sum "
              f"of the gradient and the exchange of parameters, {two[BATCH_NORM]:.2f} ms in the small "
              "collectives, nearly all of batch norm")


if __name__ == "__main__":
    main()
