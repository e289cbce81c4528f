"""Reuse of host memory."""

import numpy as np

from minivae.host.memory import ALIGNMENT, SMALL, MemoryPool


def test_freed_memory_comes_back():
    """The next array of the same size gets the memory of a dead one; nothing new is taken."""
    pool = MemoryPool()
    a = pool.empty((100, 200), np.float32)
    at, held = a.ctypes.data, pool.held
    del a
    b = pool.empty((200, 100), np.float32)
    assert b.ctypes.data == at and pool.held == held
    c = pool.empty((200, 100), np.float32)
    assert c.ctypes.data != at and pool.held == 2 * held


def test_release_gives_back_what_no_array_uses():
    """`held` is then what live arrays use; an array that lives on is untouched and its memory comes back later."""
    pool = MemoryPool()
    a, b = pool.empty((100, 200), np.float32), pool.empty((300, 200), np.float32)
    a[...] = 7
    del b
    pool.release()
    assert pool.held == a.nbytes and (a == 7).all()
    at = a.ctypes.data
    del a
    assert pool.empty((100, 200), np.float32).ctypes.data == at and pool.held == 80_000


def test_memory_lives_as_long_as_any_view():
    pool = MemoryPool()
    a = pool.empty((100, 200), np.float32)
    a[...] = 7
    view = a[50:, ::2].T
    del a
    other = pool.empty((100, 200), np.float32)
    other[...] = 0
    assert (view == 7).all()


def test_arrays_are_aligned_contiguous_and_of_their_dtype():
    pool = MemoryPool()
    for shape in ((SMALL,), (1000, 3), (7, 11, 13, 5)):
        for dtype in (np.float32, np.float64, np.uint8, np.int32):
            a = pool.empty(shape, dtype)
            assert a.shape == shape and a.dtype == dtype and a.flags.c_contiguous and a.flags.writeable
            if a.nbytes >= SMALL:
                assert a.ctypes.data % ALIGNMENT == 0
    assert pool.empty((0, 5), np.float32).shape == (0, 5)
    assert pool.empty((), np.float32).shape == ()
