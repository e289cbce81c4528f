"""A small classifier's training step in minivae and in other autodiff engines of Python: MyGrad, autograd and tinygrad.

    .venv/bin/pip install mygrad autograd tinygrad ziglang
    .venv/bin/python bench/engines.py [--rounds N] [--threads N] [--engines mygrad,autograd,tinygrad]

784 - 256 - 128 - 10 numbers with ReLU between them, softmax cross-entropy, gradient descent with momentum, 128 digits a
step, float32. All begin with the same weights and get the same digits. First they must agree on the costs of some steps,
else nothing is timed and the exit code is 1; then they take turns, each in the form that is fastest for it: tinygrad as a
captured graph (TinyJit), the optimizer of those that have none in NumPy and in place. Every step leaves its cost as a
Python number. tinygrad needs clang, which ziglang brings where the system has none.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import needs

needs.require(__file__, __doc__)

CHECKED, TOLERANCE = 30, 1e-4       # steps whose costs must agree, and how well: float32 in sums of another order
TIMED = 5                           # steps to a call that is timed: see minivae.bench.timing
ENGINES = ("mygrad", "autograd", "tinygrad")


def parse() -> argparse.Namespace:
    """The arguments; none of the engines is loaded before, nor NumPy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="samples of each engine")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                        help="of minivae and NumPy's products; tinygrad takes one or all processors")
    parser.add_argument("--engines", type=lambda text: tuple(text.split(",")), default=ENGINES, help="beside minivae")
    chosen = parser.parse_args()
    if unknown := set(chosen.engines) - set(ENGINES):
        parser.error(f"unknown engine {sorted(unknown)[0]!r}: take some of {','.join(ENGINES)}")
    if min(chosen.rounds, chosen.threads) < 1:
        parser.error("--rounds and --threads are at least 1")
    return chosen


def unable(engine: str, folder: str) -> str | None:
    """Why an engine cannot run here, or None; finds tinygrad a clang, in `folder` where the system has none."""
    if importlib.util.find_spec(engine) is None:
        return f"pip install {engine}"
    if engine == "tinygrad" and shutil.which("clang") is None:
        if importlib.util.find_spec("ziglang") is None:
            return "it needs clang: pip install ziglang, or install clang"
        script = Path(folder) / "clang"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ziglang clang "$@"\n')
        script.chmod(0o755)
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=False)
        if done.returncode:
            return f"ziglang's clang does not start: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
    return None


def difference(costs, expected) -> float:
    """The largest relative difference between two engines' costs; infinite where one is not finite."""
    import numpy as np
    found = np.abs(np.array(costs) / np.array(expected) - 1).max()
    return float(found) if np.isfinite(found) else float("inf")


def compare(steps: dict, rounds: int) -> dict:
    """Engine to its parts' samples, all taken in turn."""
    from minivae.bench.timing import Part, time_all

    def several(step):
        return lambda: [step(number) for number in range(TIMED)]

    parts = [Part(name, several(step)) for name, step in steps.items()]
    time_all(parts, rounds)
    return {part.name: part for part in parts}


def report(parts: dict, missing: dict[str, str]) -> None:
    """A line for each engine: the median, the least disturbed tenth, and the ratio of rounds that were side by side."""
    import numpy as np
    ours = parts["minivae"].ms / TIMED
    for name, part in parts.items():
        ms = part.ms / TIMED
        low, ratio, high = np.percentile(ms / ours, (10, 50, 90))
        print(f"{name:10} {np.median(ms):8.2f} ms, a tenth of them below {np.percentile(ms, 10):6.2f}: {ratio:5.2f} times "
              f"minivae's ({low:.2f} - {high:.2f})")
    for name, why in missing.items():
        print(f"{name:10} not measured: {why}")
    others = max((sample.others or 0 for part in parts.values() for sample in part.samples), default=0)
    if others > 0.5:
        print(f"other programs used up to {others:.1f} processors meanwhile: measure again without them")


def main() -> int:
    """The exit code."""
    chosen = parse()
    # --threads alone decides, and NumPy's products read it when they are loaded.
    for name in [name for name in os.environ if name.startswith(("OMP_", "OPENBLAS_", "MKL_", "MINIVAE_THREADS"))]:
        del os.environ[name]
    os.environ |= {"OPENBLAS_NUM_THREADS": str(chosen.threads), "OMP_NUM_THREADS": str(chosen.threads),
                   "MINIVAE_THREADS": str(chosen.threads), "DEV": "CPU", "THREADS": str(int(chosen.threads > 1))}
    with tempfile.TemporaryDirectory() as folder:
        missing = {name: why for name in chosen.engines if (why := unable(name, folder))}
        names = [name for name in chosen.engines if name not in missing]
        if not names:
            print("there is nothing to compare with: " + "; ".join(f"{name}: {why}" for name, why in missing.items()))
            return 1
        return run(["minivae", *names], missing, chosen)


def run(names: list[str], missing: dict[str, str], chosen: argparse.Namespace) -> int:
    """Check, then time; the exit code."""
    from importlib.metadata import version

    from engine_steps import MAKERS, problem

    from minivae.device import cpu
    steps = {name: MAKERS[name](*problem()) for name in names}
    print(f"{cpu().describe()}; " + ", ".join(f"{name} {version(name)}" for name in ("numpy", *names[1:])))
    costs = {name: [step(number) for number in range(CHECKED)] for name, step in steps.items()}
    wrong = False
    for name in names[1:]:
        off = difference(costs[name], costs["minivae"])
        wrong |= off > TOLERANCE
        verdict = f": more than {TOLERANCE:g}, so nothing is timed" if off > TOLERANCE else ""
        print(f"{name:10} costs of {CHECKED} steps, {costs[name][0]:.4f} to {costs[name][-1]:.4f}, within {off:.1e} of "
              f"minivae's{verdict}")
    if not wrong:
        report(compare(steps, chosen.rounds), missing)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
