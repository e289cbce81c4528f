"""Many pictures at once: looked at or decoded by as many processes as there are processors."""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from minivae.errors import MinivaeError
from minivae.system import default_threads

CHUNK = 32              # pictures told to a process at a time
PATIENCE = 60.0         # seconds that they may take; after that each is tried alone, and then given up
START = 300.0           # and that a process may take to start, on however busy a machine

CRASHES = "its decoder crashes or takes more than a minute"      # a reason that may be another at the next try


class Result(NamedTuple):
    """What came of one file: `found` as the task gives it, or why there is nothing."""

    index: int
    found: object
    unreadable: str | None


def each(job: dict, paths: Sequence[str], advance: Callable[[int], None] = lambda count: None) -> Iterator[Result]:
    """Do a job to every file, in no certain order.

    Closing the iterator, or an exception in between, ends all processes.

    Args:
        job: the task, a key of worker.TASKS, and what it takes.
        paths: of the files; a result's index counts in them.
        advance: is told how many more are done.

    Raises:
        OSError: the results cannot be written, as where the disk is full.
        MinivaeError: the processes do not start.
    """
    crew = _Crew(job, paths)
    try:
        left = len(paths)
        while left:
            results = crew.results.get()
            if isinstance(results, BaseException):
                raise results
            left -= len(results)
            advance(len(results))
            yield from results
    finally:
        crew.stop()


class _Crew:
    """The processes, and a thread beside each that hands it work and waits for it."""

    def __init__(self, job: dict, paths: Sequence[str]):
        self.job, self.paths = job, paths
        self.results: queue.SimpleQueue = queue.SimpleQueue()
        self.chunks: queue.SimpleQueue = queue.SimpleQueue()
        for first in range(0, len(paths), CHUNK):
            self.chunks.put(range(first, min(first + CHUNK, len(paths))))
        self.stopped = False
        self.lock, self.running = threading.Lock(), set()
        count = min(default_threads(), -(-len(paths) // CHUNK))
        self.threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """End all processes, and wait for them."""
        with self.lock:
            self.stopped = True
            for process in self.running:
                process.kill()
        for thread in self.threads:
            thread.join()

    def _serve(self) -> None:
        process = None
        try:
            while not self.stopped:
                try:
                    chunk = self.chunks.get_nowait()
                except queue.Empty:
                    break
                process = process or self._started()
                results = self._done_by(process, chunk)
                if results is None:
                    self._end(process)
                    process, results = None, self._one_by_one(chunk)
                self.results.put(results)
        except BaseException as error:      # for the thread that waits for results
            if not self.stopped:
                self.results.put(error)
        finally:
            if process:
                self._end(process)

    def _started(self) -> subprocess.Popen:
        """A process that has said that it is ready."""
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen([sys.executable, "-P", "-m", "minivae.data.worker"], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"})
        with self.lock:
            self.running.add(process)
            if self.stopped:
                process.kill()
        if _asked(process, self.job, START) != "ready" and not self.stopped:
            self._end(process)
            raise MinivaeError(f"a process that decodes pictures does not start: see whether {sys.executable} -m "
                               "minivae.data.worker does")
        return process

    def _end(self, process: subprocess.Popen) -> None:
        process.kill()
        with suppress(OSError):     # it flushes what the process no longer reads
            process.stdin.close()
        process.stdout.close()
        process.wait()
        with self.lock:
            self.running.discard(process)

    def _done_by(self, process: subprocess.Popen, chunk: Sequence[int]) -> list[Result] | None:
        """The results of a chunk; None where the process has crashed or hangs."""
        answers = _asked(process, [[index, self.paths[index]] for index in chunk])
        if answers is None:
            return None
        failed = next((answer["failed"] for answer in answers if "failed" in answer), None)
        if failed is not None:
            raise OSError(failed, os.strerror(failed))
        return [Result(index, answer.get("found"), answer.get("unreadable"))
                for index, answer in zip(chunk, answers, strict=True)]

    def _one_by_one(self, chunk: Sequence[int]) -> list[Result]:
        """A chunk that its process did not survive, file by file: who alone ends a process is to blame."""
        process, results = None, []
        for index in chunk:
            if self.stopped:
                break
            process = process or self._started()
            done = self._done_by(process, [index])
            if done is None:
                self._end(process)
                process, done = None, [Result(index, None, CRASHES)]
            results += done
        if process:
            self._end(process)
        return results


def _asked(process: subprocess.Popen, told, patience: float | None = None) -> object:
    """The answer of a process to a line; None where none comes."""
    try:
        process.stdin.write(json.dumps(told).encode() + b"\n")
        process.stdin.flush()
    except (BrokenPipeError, ValueError):
        return None
    answers = select.poll()
    answers.register(process.stdout, select.POLLIN)
    if not answers.poll((patience or PATIENCE) * 1e3):
        return None
    line = process.stdout.readline()
    return json.loads(line) if line.endswith(b"\n") else None
