"""The stand-in for CuPy refuses what CuPy refuses, and gives what CuPy gives."""

import cupy
import emulator
import numpy as np
import pytest
import strict_cupy
from cupy.cuda.memory import MemoryPointer, UnownedMemory
from cupy.cuda.runtime import CUDARuntimeError
from strict_cupy import cuda, ledger, memory, raw



@pytest.fixture
def x():
    return strict_cupy.asarray(np.arange(12, dtype=np.float32).reshape(3, 4))


HOST = np.ones((3, 4), np.float32)


# ---- what CuPy refuses ----

@pytest.mark.filterwarnings("ignore:__array__ implementation")      # of CuPy 13, by NumPy 2
@pytest.mark.parametrize("touch", [
    np.asarray, np.array, np.ascontiguousarray, memoryview, lambda x: HOST.copy().__setitem__(slice(None), x),
    lambda x: np.testing.assert_array_equal(x, HOST)])
def test_no_implicit_conversion(x, touch):
    """In CuPy's words, and by CuPy's own code."""
    with pytest.raises(TypeError, match=r"Implicit conversion to a NumPy array|on CPU is not allowed|a bytes-like object"):
        touch(x)


@pytest.mark.parametrize("touch", [
    lambda x: x + HOST, lambda x: HOST + x, lambda x: HOST * x, np.float32, lambda x: np.add(x, HOST), lambda x: x == HOST,
    lambda x: np.dot(x, HOST), lambda x: strict_cupy.matmul(x, HOST.T), lambda x: strict_cupy.add(x, HOST)])
def test_no_mixed_operands(x, touch):
    with pytest.raises(TypeError, match="Unsupported type|incorrect type|Implicit conversion"):
        touch(x)


def test_host_arrays_are_no_values_to_set(x):
    """CuPy takes them for scalars; np.copyto would look into device memory."""
    with pytest.raises(ValueError, match="non-scalar numpy.ndarray cannot be used for fill"):
        x[...] = HOST
    with pytest.raises(TypeError, match="float64 array cannot be set to float32"):
        x.set(HOST.astype(float))
    for name in ("__array_interface__", "__cuda_array_interface__", "__dlpack__", "ctypes"):
        with pytest.raises((AttributeError, NotImplementedError)):
            getattr(x, name)()


@pytest.mark.parametrize("touch", [
    np.sum, np.exp, lambda x: x.mean(), lambda x: x.astype(np.float64), lambda x: x * 2, lambda x: -x, lambda x: x > 0,
    lambda x: x[[0, 1]], lambda x: x[x.T[0]], lambda x: x.ravel(), lambda x: x.real])
def test_what_cupy_could_but_minivae_does_not_use(x, touch):
    """It would launch a kernel that nobody counts, or stop the device."""
    with pytest.raises(NotImplementedError, match="the stand-in has no"):
        touch(x)


@pytest.mark.parametrize("index", [3, (0, 4), (0, 0, 0)])
def test_integers_out_of_range(x, index):
    with pytest.raises(IndexError):
        x[index]


def test_no_library_products_in_a_captured_stream(x):
    """Kernels are recorded and run when the graph is launched; products and reading back are refused."""
    y = strict_cupy.zeros((3, 4), np.float32)
    with pytest.raises(CUDARuntimeError, match="not permitted when stream is capturing"):
        cuda.get_current_stream().begin_capture()
    with cuda.Stream(non_blocking=True) as stream:
        stream.begin_capture()
        assert stream.is_capturing()
        strict_cupy.add(x, x, out=y)
        with pytest.raises(NotImplementedError, match="calling cuBLAS API during stream capture is currently unsupported"):
            strict_cupy.matmul(x, x.T)
        with pytest.raises(CUDARuntimeError, match="not permitted when stream is capturing"):
            y.get()
        graph = stream.end_capture()
        assert not y.get().any()
        graph.launch()
    np.testing.assert_array_equal(y.get(), 2 * x.get())


# ---- what CuPy gives ----

def test_reshape_is_cupys(x):
    """Views, copies and errors as the real array's, which can do all but the copies without a GPU."""
    real = cupy.ndarray((3, 4), np.float32, memptr=MemoryPointer(UnownedMemory(x.data.ptr, 48, None, 0), 0))
    for shape in ((12,), (-1,), (2, 6), (2, -1, 3), (1, 12, 1)):
        for ours, theirs in ((x.reshape(shape), real.reshape(shape)), (x.reshape(*shape), real.reshape(*shape))):
            assert (ours.shape, ours.strides, ours.data.ptr) == (theirs.shape, theirs.strides, theirs.data.ptr)
            assert isinstance(ours, strict_cupy.ndarray)
    copied = x.T.reshape(-1)
    assert copied.data.ptr != x.data.ptr and copied.get().tolist() == x.get().T.reshape(-1).tolist()
    for wrong in ((5, 3), (-1, -1), (7,)):
        said = []
        for array in (x, real):
            with pytest.raises(ValueError) as caught:
                array.reshape(wrong)
            said.append(str(caught.value))
        assert said[0] == said[1]


def test_sums_copies_and_assignments(x):
    host = x.get()
    for axis in (None, 0, 1, (0, 1), ()):
        for keepdims in (False, True):
            found, expected = x.sum(axis=axis, keepdims=keepdims).get(), host.sum(axis=axis, keepdims=keepdims)
            assert found.shape == expected.shape and found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected)
    y = x.copy()
    y[1] = 7
    y[:, 2] = x[:, 0]
    y[2, :2] = 0
    host[1], host[:, 2], host[2, :2] = 7, host[:, 0].copy(), 0
    np.testing.assert_array_equal(y.get(), host)


@pytest.mark.parametrize("touch", [float, int, bool, lambda one: one.item()])
def test_looking_at_a_value_waits_for_the_device(x, touch):
    with ledger.counting() as counted:
        assert touch(x[1, 1]) == touch(np.float32(5))
    assert counted == {"to_host": 1}
    with pytest.raises((ValueError, TypeError)):
        touch(x)


def _times(count):
    return {kind: n for kind, n in count.items() if n}


@pytest.mark.parametrize(("operands", "expected"), [
    (lambda x: (x, x.T), {"product": 1}),                                               # transposes are free
    (lambda x: (x[:, ::2], x[:, ::2].T), {"product": 1, "copy": 2}),                    # neither rows nor columns
    (lambda x: (x[:1], x[:1].T), {"multiply": 1, "sum": 1}),                            # one element: no cuBLAS
    (lambda x: (x[:0], x.T), {}),                                                       # nothing
    (lambda x: (x.reshape(1, 3, 4), x.reshape(1, 4, 3)), {"product": 1}),
    (lambda x: (x.reshape(1, 3, 4), x.reshape(1, 3, 4).transpose(0, 2, 1)), {"product": 1, "copy": 1})])
def test_products(x, operands, expected):
    """Which copies CuPy makes before cuBLAS (cupy/_core/_routines_linalg.pyx)."""
    a, b = operands(x)
    with ledger.counting() as counted:
        found = strict_cupy.matmul(a, b)
    assert _times(counted) == expected
    np.testing.assert_allclose(found.get(), a.get() @ b.get())


def test_a_product_into_its_own_operand_goes_through_a_copy(x):
    square = x[:, :3].copy()
    exact = square.get() @ square.get()
    with ledger.counting() as counted:
        assert strict_cupy.matmul(square, square, out=square) is square
    assert counted == {"product": 1, "copy": 1}
    np.testing.assert_array_equal(square.get(), exact)
    with pytest.raises(ValueError, match="invalid size"):
        strict_cupy.matmul(square, square, out=x)


@pytest.mark.parametrize(("value", "sent"), [
    (5, np.int64(5)), (True, np.int64(1)), (0.5, np.float64(0.5)), (None, np.uint64(0)),
    *((same, same) for same in (np.float32(0.5), np.int32(-1), np.uint8(9), np.uint64(2**64 - 1), np.bool_(True)))])
def test_arguments_are_marshaled_as_by_cupy(value, sent):
    """Also True, which is an int to Python."""
    assert raw.marshal(value) == sent.tobytes()


def test_arrays_are_sent_as_addresses_and_strangers_not_at_all(x):
    assert raw.marshal(x[1:, ::2]) == np.uint64(x.data.ptr + 16).tobytes()
    for stranger in (HOST, "text", (1, 2), np.datetime64(0, "s")):
        with pytest.raises(TypeError, match="Unsupported type"):
            raw.marshal(stranger)


KERNEL = """#if !defined(__CUDACC__)
#error "for a GPU"
#endif
extern "C" __global__ void mark(float* x, int n) { if (threadIdx.x + blockIdx.x < n) x[threadIdx.x + blockIdx.x] = n; }"""


def test_launches():
    """An empty grid becomes a block; what is beyond CUDA's limits is an invalid argument; unknown names and options
    are errors when a kernel is asked for."""
    kernel = strict_cupy.RawModule(code=KERNEL, options=("--std=c++17",)).get_function("mark")
    y = strict_cupy.zeros(4, np.float32)
    kernel((0,), (1,), (y, np.int32(3)))
    assert y.get().tolist() == [3, 0, 0, 0]
    for grid, block in (((1, 65536), (1,)), ((1,), (1025,)), ((1,), (64, 32)), ((1,), (1, 1, 65)), ((1, 1, 65536), (1,))):
        with pytest.raises(raw.CUDADriverError, match="CUDA_ERROR_INVALID_VALUE"):
            kernel(grid, block, (y, np.int32(3)))
    with pytest.raises(raw.CUDADriverError, match="CUDA_ERROR_INVALID_VALUE"):
        kernel((1,), (1,), (y, np.int32(3)), shared_mem=48 * 1024 + 1)
    with pytest.raises(TypeError, match="expected tuple, got list"):
        kernel([1], (1,), (y, np.int32(3)))
    with pytest.raises(raw.CUDADriverError, match="CUDA_ERROR_NOT_FOUND"):
        strict_cupy.RawModule(code=KERNEL).get_function("nobody")
    for wrong in ("-O3", "-ffast-math", "--std=c++3"):
        with pytest.raises(cupy.cuda.nvrtc.NVRTCError):
            strict_cupy.RawModule(code=KERNEL, options=(wrong,)).get_function("mark")
    with pytest.raises(TypeError, match="expected tuple, got list"):
        strict_cupy.RawModule(code=KERNEL, options=["--std=c++17"])


def test_a_launch_stays_within_the_views_that_it_is_given():
    """Not only within the array that they are parts of."""
    kernel = strict_cupy.RawModule(code=KERNEL).get_function("mark")
    flat = strict_cupy.zeros(8, np.float32)
    kernel((1,), (4,), (flat[4:], np.int32(4)))
    assert flat.get().tolist() == [0] * 4 + [4] * 4
    with pytest.raises(emulator.EmulatorError, match="writes 4 bytes at byte 16 of argument 0, an array of 16 bytes in one "
                                                     "of 32"):
        kernel((1,), (5,), (flat[:4], np.int32(5)))


@pytest.mark.parametrize("arguments", [lambda y: (y,), lambda y: (y, 3), lambda y: (y, np.int32(3), np.int32(3))])
def test_arguments_that_are_not_the_kernels(arguments):
    """On a GPU garbage without a word; the emulator counts the bytes."""
    kernel = strict_cupy.RawModule(code=KERNEL).get_function("mark")
    with pytest.raises(emulator.EmulatorError):
        kernel((1,), (1,), arguments(strict_cupy.zeros(4, np.float32)))


# ---- memory ----

def test_fresh_memory_is_poisoned_and_reading_it_is_an_error(monkeypatch):
    fresh = strict_cupy.empty((5, 3), np.float32)
    with pytest.raises(emulator.EmulatorError, match="nothing was written"):
        fresh.get()
    monkeypatch.setattr(emulator, "unwritten", lambda *_: False)
    assert np.isnan(fresh.get()).all()


def test_views_with_gaps_are_checked_element_by_element():
    """Of a strided view what nobody wrote is seen, and what lies between its elements stays unwritten."""
    fresh = strict_cupy.empty((4, 4), np.float32)
    with pytest.raises(emulator.EmulatorError, match=r"shape \(4, 2\) is read, but nothing was written"):
        fresh[:, :2].copy()
    fresh[:, 1] = 1.0
    assert emulator.written(fresh.data.ptr, 64).reshape(4, 4, 4).all(2).tolist() == [[False, True, False, False]] * 4
    with pytest.raises(emulator.EmulatorError, match="nothing was written"):
        fresh[1].get()
    assert fresh[:, 1].get().tolist() == [1.0] * 4
    fresh[::-1, 2] = strict_cupy.asarray(np.arange(4, dtype=np.float32))
    assert fresh[1:, 1:3].get().tolist() == [[1.0, 2.0], [1.0, 1.0], [1.0, 0.0]]
    with pytest.raises(emulator.EmulatorError, match="nothing was written"):
        fresh.T.get()


@pytest.fixture
def pool(monkeypatch):
    """An empty memory pool in place of the process's own."""
    monkeypatch.setattr(memory, "_pool", memory.MemoryPool())
    return strict_cupy.get_default_memory_pool()


def test_freed_memory_is_given_out_again_at_once(pool):
    """The pool keeps what dies with the last view, and gives it to the next: nothing new is taken, and it is poisoned."""
    first = strict_cupy.zeros((100, 50), np.float32)
    view, at = first[3:], first.data.ptr
    del first
    second = strict_cupy.zeros((100, 50), np.float32)
    assert pool.total_bytes() == 2 * 20_480 and second.data.ptr != at         # the view keeps the first alive
    del view
    third = strict_cupy.empty((50, 100), np.float32)
    assert pool.total_bytes() == 2 * 20_480 and third.data.ptr == at
    with pytest.raises(emulator.EmulatorError, match="nothing was written"):
        third.get()


def test_memory_that_was_freed_is_not_there(x):
    """A pointer that outlives its array."""
    kernel = strict_cupy.RawModule(code=KERNEL).get_function("mark")
    y = strict_cupy.zeros((3000,), np.float32)
    at = np.uint64(y.data.ptr)
    del y
    with pytest.raises(emulator.EmulatorError):
        kernel((1,), (1,), (at, np.int32(3)))


def test_the_pool_splits_merges_and_releases(pool):
    """As cupy/cuda/memory.pyx: rounded to 512 bytes, the smallest block that fits is split, neighbours merge again."""
    big = pool.malloc(4000)
    assert pool.total_bytes() == 4096
    del big
    small, rest = pool.malloc(100), pool.malloc(3000)
    assert pool.total_bytes() == 4096
    pool.free_all_blocks()
    del rest
    pool.free_all_blocks()
    assert pool.total_bytes() == 4096               # a part of the block is in use
    del small
    again = pool.malloc(4096)
    assert pool.total_bytes() == 4096
    del again
    pool.free_all_blocks()
    assert pool.total_bytes() == 0


def test_a_full_device(pool):
    pool.set_limit(size=1024)
    kept = pool.malloc(1024)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="Out of memory allocating 512 bytes") as caught:
        pool.malloc(1)
    assert isinstance(caught.value, MemoryError) and kept.ptr


# ---- devices and events ----

def test_a_device_that_is_not_there():
    with pytest.raises(CUDARuntimeError, match="cudaErrorInvalidDevice"):
        cuda.Device(cuda.COUNT).use()


def test_events_tell_the_time_once_they_have_come():
    first, second = cuda.Event(), cuda.Event()
    with pytest.raises(CUDARuntimeError, match="cudaErrorInvalidResourceHandle"):
        cuda.get_elapsed_time(first, second)
    first.record()
    second.record(cuda.get_current_stream())
    with pytest.raises(CUDARuntimeError, match="cudaErrorNotReady"):
        cuda.get_elapsed_time(first, second)
    second.synchronize()
    assert first.done and 0 <= cuda.get_elapsed_time(first, second) < 1000
