"""Measures how fast pictures are decoded into the cache beside Pillow alone in one process, and how long the next start
takes.

    python bench/decoding.py [--count N] [--side PIXELS] [--size PIXELS] [--rounds N] [--folder FOLDER]

Makes a folder of JPEG files once, ten classes of them. Each round decodes all of them in this process with Pillow, as one
would write it down (open, convert, resize), the same with a JPEG's draft, and with minivae into an empty cache; then it
starts anew from that cache. Rounds take turns, so that a slow minute shows in all of them. Nothing else should run.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path

import needs

needs.require(__file__, __doc__)

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from minivae import data  # noqa: E402
from minivae.bench.timing import spread  # noqa: E402
from minivae.system import default_threads  # noqa: E402


def make(folder: Path, count: int, side: int) -> list[Path]:
    """JPEG files of smooth colours with noise, some 22 KB each at 256 x 256; those that are there stay."""
    rng, paths = np.random.default_rng(0), []
    for i in range(count):
        path = folder / f"class {i % 10}" / f"{i}.jpg"
        paths.append(path)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
        pixels = np.asarray(coarse) + rng.normal(0, 8, (side, side, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)
    return paths


def pillow(paths: list[Path], size: int, draft: bool) -> np.ndarray:
    """All pictures, decoded one after the other."""
    found = np.empty((len(paths), size, size, 3), np.uint8)
    for i, path in enumerate(paths):
        with Image.open(path) as picture:
            if draft:
                picture.draft(None, (2 * size, 2 * size))
            found[i] = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    return found


def timed(call) -> tuple[float, float]:
    """(seconds, processors that this process and those it started kept busy)."""
    def used() -> float:
        return sum(r.ru_utime + r.ru_stime for r in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))

    began, before = time.perf_counter(), used()
    call()
    seconds = time.perf_counter() - began
    return seconds, (used() - before) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("count", 10_000), ("side", 256), ("size", 64), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "minivae-decoding")
    told = parser.parse_args()
    folder, cache = told.folder / f"{told.count} of {told.side}", told.folder / "cache"
    paths = make(folder, told.count, told.side)
    os.environ["MINIVAE_CACHE"] = str(cache)
    each = sum(path.stat().st_size for path in paths) / told.count / 1e3
    print(f"{told.count:,} JPEG files of {told.side} x {told.side}, {each:.1f} KB each, to {told.size} x {told.size}; "
          f"{default_threads()} processors")
    whole = data.Reading(size=(told.size, told.size))
    parts = {"Pillow alone": lambda: pillow(paths, told.size, False),
             "Pillow alone, with draft": lambda: pillow(paths, told.size, True),
             "minivae, first start": lambda: data.load(folder, whole), "minivae, second start": lambda: data.load(folder, whole)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in parts}
    for _ in range(told.rounds):
        shutil.rmtree(cache, ignore_errors=True)
        for name, call in parts.items():
            found[name].append(timed(call))
    for name, times in found.items():
        seconds, busy = np.array(times).T
        of = spread(seconds)
        print(f"{name:26} {of['median']:7.2f} s ({seconds.min():.2f} - {seconds.max():.2f}), "
              f"{told.count / of['median']:8,.0f} images/s, {np.median(busy):.2f} processors")
    for name in ("Pillow alone", "Pillow alone, with draft"):
        ratio = np.array(found[name])[:, 0] / np.array(found["minivae, first start"])[:, 0]
        print(f"minivae's first start: {np.median(ratio):.2f} times the speed of {name} "
              f"({ratio.min():.2f} - {ratio.max():.2f})")


if __name__ == "__main__":
    main()
