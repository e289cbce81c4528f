"""Ctrl-C and the signals that ask a program to end, as something that work between two steps can be asked about."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")       # those of them that the system has
WORD = b"\nfinishing the step and writing a checkpoint; once more to leave at once\n"


class Interrupted(KeyboardInterrupt):
    """A signal asked this program to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int):
        super().__init__()
        self.exit_code = exit_code(number)


class Signals:
    """Within this context the signals raise Interrupted; within `held()`, the first one is only noted.

    What the program was started to ignore stays ignored. Outside the main thread, where no signals arrive, it does nothing.

    Attributes:
        number: of the first signal that came; None before.
    """

    def __init__(self):
        self.number: int | None = None
        self._held, self._before = False, {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within this context the first signal is noted, for asked(); a second one raises Interrupted.

        Raises:
            Interrupted: at the end, where a signal came and nobody stopped for it.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.number is not None:
            self._interrupt(self.number)

    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.number is not None

    def _handle(self, number: int, frame) -> None:
        first, self.number = self.number is None, self.number or number
        if not (first and self._held):
            self._interrupt(number)
        with suppress(OSError):         # of a terminal that is gone
            os.write(2, WORD)           # print could be in the middle of its own work

    def _interrupt(self, number: int) -> NoReturn:
        raise Interrupted(number)


def exit_code(number: int) -> int:
    """What a program exits with that a signal has ended, as shells have it."""
    return 128 + number
