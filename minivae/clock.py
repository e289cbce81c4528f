"""Time that has passed, by a clock that may be set back or stand: such moments count nothing, and nothing waits for them."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds that have passed since it was made, and before.

    Args:
        seconds: what it starts at.
    """

    def __init__(self, seconds: float = 0.0):
        self._seconds, self._last = seconds, time.perf_counter()

    def read(self) -> float:
        """The seconds so far."""
        now = time.perf_counter()
        self._seconds += max(0.0, now - self._last)
        self._last = now
        return self._seconds

    def set(self, seconds: float) -> None:
        """Go on from there, now."""
        self._seconds, self._last = seconds, time.perf_counter()

    def go_on(self) -> None:
        """Count nothing for what has passed since it was last read or set."""
        self._last = time.perf_counter()


class Every:
    """Tells when something that is to be done at most every so many seconds is due.

    Args:
        seconds: between two times.
    """

    def __init__(self, seconds: float):
        self.seconds, self._watch = seconds, Stopwatch()

    def due(self) -> bool:
        """Whether the time has come; if so, the next one begins."""
        if self._watch.read() < self.seconds:
            return False
        self.again()
        return True

    def again(self) -> None:
        """Begin anew."""
        self._watch.set(0.0)
