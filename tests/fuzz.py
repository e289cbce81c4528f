"""Fuzz of whatever reads files: damage to whole files, bounds of time and memory, and a count of the inputs.

A reader may give what it read, or refuse in one line of its own; it may neither fail in another way, nor take more seconds
or more memory than it is given.
"""

import ast
import faulthandler
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from minivae.errors import MinivaeError

SECONDS = 5.0           # of a processor that one input may take
PATIENCE = 60           # seconds by the clock, on however busy a machine
ROOM = 256 << 20        # bytes of addresses that a reader may take beside what the process has already
LONGEST = 2500          # characters of an error
NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63,
           2**64 - 1)
SPANS = (1, 2, 3, 4, 8, 16, 50, 200)


class Hangs(BaseException):
    """An input that takes longer than PATIENCE; no reader catches it."""


@pytest.fixture
def place():
    """A folder for many small files: in memory, where the system has such a folder."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


# ---- damage ----

def _flip(data: bytearray, at: int, number: int) -> None:
    data[at] ^= 1 << number % 8


def _set(data: bytearray, at: int, number: int) -> None:
    data[at] = number % 256


def _cut(data: bytearray, at: int, number: int) -> None:
    del data[at:]


def _remove(data: bytearray, at: int, number: int) -> None:
    del data[at:at + SPANS[number % len(SPANS)]]


def _insert(data: bytearray, at: int, number: int) -> None:
    data[at:at] = bytes((number + 37 * i) % 256 for i in range(SPANS[number % len(SPANS)]))


def _repeat(data: bytearray, at: int, number: int) -> None:
    data[at:at] = data[at:at + SPANS[number % len(SPANS)]] * (1 + number // 16 % 4)


def _zero(data: bytearray, at: int, number: int) -> None:
    span = min(SPANS[number % len(SPANS)], len(data) - at)
    data[at:at + span] = bytes(span)


def _swap(data: bytearray, at: int, number: int) -> None:
    span, other = 4, number * 7 % len(data)
    data[at:at + span], data[other:other + span] = data[other:other + span], data[at:at + span]


def _number(data: bytearray, at: int, number: int) -> None:
    """A number in place of another, as headers have them: of 2, 4 or 8 bytes, either end first."""
    size, order = (2, 4, 8)[number % 3], ("little", "big")[number // 3 % 2]
    value = NUMBERS[number % len(NUMBERS)] % (1 << 8 * size)
    data[at:at + size] = value.to_bytes(size, order)


def _digits(data: bytearray, at: int, number: int) -> None:
    """Another number as text, where there is a digit at or behind the place."""
    found = next((i for i in range(at, len(data)) if chr(data[i]).isdigit()), None)
    if found is not None:
        end = next((i for i in range(found, len(data)) if not chr(data[i]).isdigit()), len(data))
        data[found:end] = str((*NUMBERS, -1, 10**30, "1e400", "nan", "")[number % (len(NUMBERS) + 5)]).encode()


DAMAGE = (_flip, _set, _cut, _remove, _insert, _repeat, _zero, _swap, _number, _digits)
steps = st.lists(st.tuples(st.sampled_from(DAMAGE), st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=3)


def _hurt(file: bytes, done) -> bytes:
    data = bytearray(file)
    for damage, place, number in done:
        if data:    # every second place is one of the first, where headers are
            damage(data, place // 2 % (min(len(data), 64) if place % 2 else len(data)), number)
    return bytes(data)


def damaged(*files: bytes):
    """A file that is one of these with one to three things done to it."""
    return st.builds(_hurt, st.sampled_from(files), steps)


# ---- one input, and many ----

class Reader:
    """Something that reads, under watch.

    Args:
        read: takes an input.
        refusals: the errors that it may raise.

    Attributes:
        seen: how many inputs there were.
        refused: how many of them were refused.
    """

    def __init__(self, read, refusals=MinivaeError):
        self._read, self._refusals = read, refusals
        self.seen = self.refused = 0

    def __call__(self, content) -> None:
        self.seen += 1
        with at_most(PATIENCE):
            began = time.thread_time()
            try:
                self._read(content)
            except self._refusals as error:
                self.refused += 1
                check_words(error)
            assert time.thread_time() - began < SECONDS

    def fuzz(self, count: int, inputs, always=()) -> None:
        """Let it read `count` inputs of a strategy, and others; fails where it does not keep the rules."""
        @settings(max_examples=count, deadline=None, derandomize=True, database=None, phases=(Phase.generate, Phase.shrink),
                  suppress_health_check=list(HealthCheck))
        @given(inputs)
        def one(content):
            self(content)

        with bounded():
            for content in always:
                self(content)
            one()
        assert self.seen >= count + len(always), f"only {self.seen} inputs"
        assert self.refused > self.seen // 20, f"only {self.refused} of {self.seen} inputs were refused"


def check_words(error: BaseException) -> None:
    """One line, not too long, and no failure of memory behind it."""
    text = str(error)
    assert text and len(text.splitlines()) == 1 and len(text) <= LONGEST, text[:5000]
    assert "\x1b" not in text and "\0" not in text
    while error := error.__cause__ or error.__context__:
        assert not isinstance(error, MemoryError) or _of_nesting(error), "it took all memory that there was"


def _of_nesting(error: MemoryError) -> bool:
    """Whether it is Python's parser that says so, of brackets too deep for it."""
    return traceback.extract_tb(error.__traceback__)[-1].filename == ast.__file__


@contextmanager
def at_most(seconds: int):
    """Within this context what takes longer is stopped."""
    def stop(number, frame):
        raise Hangs(f"it takes more than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bounded(room: int = ROOM):
    """Within this context the process gets no more than `room` bytes of memory beside what it has, where the system can say
    so; and it is ended with a trace where C code hangs, which no signal's handler can stop."""
    faulthandler.dump_traceback_later(600, exit=True, file=sys.__stderr__)
    least, most = resource.getrlimit(resource.RLIMIT_AS)
    statm = Path("/proc/self/statm")
    if statm.exists():
        has = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (has + room, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (least, most))
        faulthandler.cancel_dump_traceback_later()


def refused(read, content, words: str, kind=MinivaeError) -> None:
    """A reader must refuse this, in such words (a regular expression)."""
    with bounded(), at_most(PATIENCE), pytest.raises(kind, match=words) as caught:
        read(content)
    check_words(caught.value)
