"""How long the emulator takes for a block of 256 threads with ten barriers, and for an access of global memory."""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import emulator
import test_emulator


def best_of(times: int, function, grid: int, *arguments) -> float:
    """Seconds of the fastest of some launches with 256 threads a block."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        function.launch((grid, 1, 1), (256, 1, 1), [a.tobytes() for a in arguments])
        spans.append(time.perf_counter() - began)
    return min(spans)


def main() -> None:
    module = emulator.Module(test_emulator.planted_source())
    blocks = 64
    x, y = emulator.allocate(blocks * 1024), emulator.allocate(blocks * 1024)
    emulator.copy_in(x, np.ones(blocks * 256, np.float32))
    rounds = best_of(10, module.function("rounds"), blocks, np.uint64(y), np.int32(5)) / blocks
    scaled = best_of(10, module.function("scaled"), blocks, np.uint64(x), np.uint64(y), np.float32(2)) / blocks
    print(f"256 threads, 10 barriers, 12 shared accesses a thread: {rounds * 1e6:.0f} us a block")
    print(f"256 threads, one read and one write each: {scaled * 1e6:.0f} us a block")


if __name__ == "__main__":
    main()
