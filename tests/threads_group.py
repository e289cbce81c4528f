"""Several processes of a group as threads of one: one of them works at a time, until all wait for each other."""

from __future__ import annotations

import threading

from minivae.device import device_of
from minivae.parallel.group import Group


class _Meeting:
    """Where they meet, and who may work."""

    def __init__(self, size: int):
        self.size, self.given, self.found = size, {}, None
        self.turn, self.barrier = threading.Lock(), threading.Barrier(size, timeout=60)

    def __call__(self, rank: int, value):
        """Every thread's value, in order."""
        self.given[rank] = value
        self.turn.release()
        if self.barrier.wait() == 0:
            self.found, self.given = [self.given[i] for i in range(self.size)], {}
        self.barrier.wait()
        found = self.found
        self.barrier.wait()
        self.turn.acquire()
        return found


class ThreadGroup(Group):
    """One of the threads' group. `calls` lists what was asked of it."""

    def __init__(self, rank: int, size: int, meeting: _Meeting):
        self.rank, self.size, self._meeting, self.calls = rank, size, meeting, []

    def sum(self, array):
        self.calls.append(("sum", array.shape))
        device = device_of(array)
        array[...] = device.from_host(sum(self._meeting(self.rank, device.to_host(array))))

    def gather(self, array):
        self.calls.append(("gather", array.shape))
        device, found = device_of(array), self._meeting(self.rank, device_of(array).to_host(array))
        out = device.empty((self.size, *array.shape), array.dtype)
        for rank, value in enumerate(found):
            out[rank] = device.from_host(value)
        return out

    def exchange(self, value):
        self.calls.append(("exchange",))
        return self._meeting(self.rank, value)


def together(size: int, work) -> list:
    """work(group) of every member of a group, in order; the first error of any is raised."""
    meeting, results, errors = _Meeting(size), [None] * size, []

    def run(rank: int) -> None:
        with_turn = True
        meeting.turn.acquire()
        try:
            results[rank] = work(ThreadGroup(rank, size, meeting))
        except threading.BrokenBarrierError:
            with_turn = False       # another's error
        except BaseException as error:      # noqa: BLE001  (raised again below)
            errors.append(error)
            meeting.barrier.abort()
        finally:
            if with_turn:
                meeting.turn.release()

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
