"""A process that looks at or decodes pictures for another, which tells it what to do on its standard input.

Decoders are C code that reads files from anywhere: in a process of its own a file that makes one crash, hang or take all
memory costs that file alone (see decoding.py). Lines are JSON: first a Job, then a list of [index, path] at a time, answered
by a line of results in the same order.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from minivae.data.picture import Unreadable, content, decode, look

MEMORY = 4 << 30            # bytes of addresses, for a picture of MOST_PIXELS some times over
DIGEST = 16                 # bytes of a file's digest


def looker(job: dict) -> Callable[[int, str], object]:
    """(index, path) -> [height, width, grey]."""
    return lambda index, path: list(look(path))


def decoder(job: dict) -> Callable[[int, str], object]:
    """(index, path) -> the hex digest of the file, whose pixels have gone to the index's place in the job's `into`."""
    shape, fit, start = tuple(job["shape"]), job["fit"], job["start"]
    row = shape[0] * shape[1] * shape[2]
    into = os.open(job["into"], os.O_WRONLY)

    def put(index: int, path: str) -> str:
        data = content(path)
        pixels = memoryview(decode(io.BytesIO(data), shape, fit).tobytes())
        at = start + index * row
        while pixels:       # a write may take only a part
            written = os.pwrite(into, pixels, at)
            pixels, at = pixels[written:], at + written
        return hashlib.blake2b(data, digest_size=DIGEST).hexdigest()

    return put


TASKS = {"look": looker, "decode": decoder}


def _bound_memory() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError, OSError):     # macOS has no such bound
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most), most))


def _answer(task: Callable[[int, str], object], index: int, path: str) -> dict:
    try:
        return {"found": task(index, path)}
    except Unreadable as error:
        return {"unreadable": str(error)}
    except OSError as error:        # reading gives an Unreadable: it was writing
        return {"failed": error.errno}


def main() -> None:
    """Work until the standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C is the other process's to handle, which then ends this one
    _bound_memory()
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())       # libraries in C may print
    os.dup2(silence, sys.stderr.fileno())
    task = None
    for line in sys.stdin:
        told = json.loads(line)
        if task is None:
            task, answer = TASKS[told["task"]](told), "ready"
        else:
            answer = [_answer(task, index, path) for index, path in told]
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
