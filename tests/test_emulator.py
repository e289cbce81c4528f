"""The emulator: each fault planted in planted.cu is found and named, and the same kernels without it run in silence.

A block of 256 threads with ten barriers and a dozen accesses takes some 180 us in it: bench/emulator.py measures that.
"""

import re
import subprocess
import sys
from pathlib import Path

import emulator
import numpy as np
import pytest
from conftest import seed_emulator

from minivae.system import kernel_folder

PLANTED = Path(__file__).parent / "planted.cu"


def planted_source() -> str:
    portable = (kernel_folder() / "portable.cuh").read_text().replace("#pragma once\n", "\n")
    return f'#line 1 "portable.cuh"\n{portable}#line 1 "planted.cu"\n{PLANTED.read_text()}'


def line_of(kernel: str) -> str:
    """Where the fault of a planted kernel is, as a pattern: of a race, either of two places."""
    return "({})".format("|".join(str(n) for n, line in enumerate(PLANTED.read_text().splitlines(), 1)
                                  if line.endswith(f"// <- {kernel}")))


@pytest.fixture(scope="module")
def planted():
    return emulator.Module(planted_source(), ("--std=c++17",))


def pointer(address: int) -> bytes:
    return np.uint64(address).tobytes()


# kernel, input, bytes of the output, blocks, threads, what is said; a thread or block of the message is any where it depends
# on the order in which they run.
ONES, INTS, WORDS = np.ones(256, np.float32), np.arange(256, dtype=np.int32), np.full(4, 1 << 44, np.uint64)
ANY = r"\(\d+, 0, 0\)"
FAULTS = [
    ("global_read", ONES, 1024, 4, 64, 1,
     r"block \(3, 0, 0\), thread \(63, 0, 0\): out of bounds: reads 4 bytes at byte 1024 "
     "of argument 0, an array of 1024 bytes"),
    ("global_read", ONES, 1024, 4, 64, -1,
     r"block \(0, 0, 0\), thread \(0, 0, 0\): out of bounds: reads 4 bytes 4 bytes before "
     "argument 0, an array of 1024 bytes"),
    ("global_write", ONES, 1024, 4, 64, 1,
     r"block \(3, 0, 0\), thread \(63, 0, 0\): out of bounds: writes 4 bytes at byte 1024 "
     "of argument 1, an array of 1024 bytes"),
    ("static_shared", None, 256, 1, 64, 1, r"thread \(63, 0, 0\): out of bounds: past the end of a variable"),
    ("shared_by_pointer", None, 256, 1, 64, 1 << 16,
     f"thread {ANY}: out of bounds: writes 4 bytes of memory that is neither"),
    *(("shared_neighbours", None, 256, 1, 64, array + by,
       f"thread {ANY}: out of bounds: writes 4 bytes (outside|past the end of|before the start of) shared memory")
      for array in (1500, 2500) for by in (1, 2, 16, 64, 128, -1, -2, -16, -64, -128)),
    ("shared_index", None, 256, 1, 64, 1,
     r"thread \((3[2-9]|[456]\d), 0, 0\): out of bounds: index 2 of an array that is smaller"),
    ("dynamic_shared_end", None, 256, 1, 64, 1,
     r"thread \(63, 0, 0\): out of bounds: writes 4 bytes outside dynamic shared memory"),
    ("local_index", None, 256, 1, 64, 1, r"thread \(\d*[13579], 0, 0\): out of bounds: index 4 of an array that is smaller"),
    ("stored_address", WORDS, 256, 1, 64, 1,
     f"thread {ANY}: out of bounds: reads 4 bytes of memory that is neither the device's"),
    ("vector_read", ONES, 256, 1, 63, 1,
     f"thread {ANY}: misaligned: an access that needs a multiple of 16 bytes, at 4 more"),
    ("vector_write", None, 1024, 1, 63, 2,
     f"thread {ANY}: misaligned: an access that needs a multiple of 16 bytes, at 8 more"),
    ("unwritten_shared", None, 1024, 4, 64, 1,
     rf"block \((1|3), 0, 0\), thread {ANY}: unwritten: reads 4 bytes of shared memory"),
    ("unwritten_dynamic", None, 1024, 4, 64, 1,
     rf"block \((1|3), 0, 0\), thread {ANY}: unwritten: reads 4 bytes of dynamic shared"),
    ("shared_read_after_write", None, 260, 1, 64, 1,
     "(thread \\(40, 0, 0\\): race: reads shared memory that thread \\(3, 0, 0\\) wrote|"
     "thread \\(3, 0, 0\\): race: writes shared memory that thread \\(40, 0, 0\\) read), with no barrier in between"),
    ("shared_write_after_read", None, 256, 1, 64, 1,
     f"thread {ANY}: race: writes shared memory that thread {ANY} read, with no"),
    ("shared_write_after_write", None, 256, 1, 64, 1,
     f"thread {ANY}: race: writes shared memory that thread {ANY} wrote, with no"),
    ("tree_sum", ONES, 4, 1, 64, 1,
     f"thread {ANY}: race: (reads|writes) shared memory that thread {ANY}.* (wrote|read), with"),
    ("blocks_write_one_place", None, 16, 4, 64, 1,
     rf"block {ANY}, thread \(0, 0, 0\): race: writes global memory that block {ANY} "
     "wrote"),
    ("blocks_read_others", None, 1024, 4, 64, 1,
     f"block {ANY}, thread {ANY}: race: (reads|writes) global memory that block {ANY} "
     "(wrote|read)"),
    ("threads_write_after_read", "out", 256, 1, 64, 1,
     f"thread {ANY}: race: writes global memory that thread {ANY} read, with no"),
    ("neighbouring_bytes", None, 256, 4, 64, 1,
     f"block {ANY}, thread {ANY}: race: writes global memory that thread {ANY} wrote"),
    ("barrier_of_some", None, 256, 1, 64, 1,
     r"thread \(0, 0, 0\): barrier: thread \(63, 0, 0\) never reaches it: it has left"),
    ("barriers_apart", None, 256, 1, 64, 1, r"thread \(0, 0, 0\): barrier: thread \(63, 0, 0\) waits at another one"),
    ("apart_after_copies", None, 512, 1, 64, 1, r"thread \(0, 0, 0\): barrier: thread \(63, 0, 0\) waits at another one"),
    ("shuffle_after_exit", ONES, 128, 1, 32, 1,
     "thread .*: shuffle: its mask ffffffff names lane 9, which has left the kernel"),
    ("shuffle_beside_barrier", ONES, 128, 1, 32, 1,
     "thread .*: shuffle: its mask ffffffff names lane 9, which waits at a barrier"),
    ("masks_differ", ONES, 128, 1, 32, 1, "thread .*: shuffle: masks differ, its ffffffff and lane 9's 0000ffff"),
    ("shuffle_from_outside", ONES, 128, 1, 32, 1,
     "thread .*: shuffle: reads from lane 16, which its mask 0000ffff leaves out"),
    ("sum_overflows", INTS, 1024, 1, 256, 2, "thread .*: undefined behaviour: a .* of integers overflows"),
    ("shift_too_far", INTS, 1024, 1, 256, 1, "thread .*: undefined behaviour: a shift out of range"),
    ("number_does_not_fit", ONES, 1024, 1, 256, 1, "thread .*: undefined behaviour: a number that does not fit the integer"),
    ("division_by_zero", INTS + 1, 1024, 1, 256, 7, r"thread \(6, 0, 0\): undefined behaviour: a division by zero"),
]


def launch_planted(planted, memory, name, given, nbytes, blocks, threads, bug):
    """The output's bytes after a launch."""
    y = memory(np.zeros(nbytes // 4, np.float32)) if isinstance(given, str) else memory.fresh(nbytes)
    inputs = [] if given is None or isinstance(given, str) else [pointer(memory(given))]
    function = planted.function(name)
    function.launch((blocks, 1, 1), (threads, 1, 1), [*inputs, pointer(y), np.int32(bug).tobytes()],
                    256 if "dynamic" in name else 0)
    return emulator.fetch(y, nbytes, np.uint8), function


@pytest.mark.parametrize(("name", "given", "nbytes", "blocks", "threads", "bug", "said"), FAULTS,
                         ids=[f"{fault[0]}-{fault[5]}" for fault in FAULTS])
def test_a_planted_fault_is_found(planted, memory, name, given, nbytes, blocks, threads, bug, said):
    """Without the fault not a word; with it kernel, block, thread, what, and the line."""
    launch_planted(planted, memory, name, given, nbytes, blocks, threads, 0)
    with pytest.raises(emulator.EmulatorError) as caught:
        launch_planted(planted, memory, name, given, nbytes, blocks, threads, bug)
    lines = str(caught.value).splitlines()
    assert 1 <= len(lines) <= 4
    assert any(re.match(f"kernel {name}, block {ANY}, thread {ANY}: ", line) and re.search(said, line)
               and re.search(rf"planted\.cu:{line_of(name)}\b", line) for line in lines), str(caught.value)


def launch(function, grid, block, *arguments, shared_bytes=0):
    function.launch((grid, 1, 1), (block, 1, 1), [a.tobytes() for a in arguments], shared_bytes)


def error(function, *arguments, **named) -> str:
    with pytest.raises(emulator.EmulatorError) as caught:
        launch(function, *arguments, **named)
    return str(caught.value)


def test_planted_kernels_are_cuda():
    """NVRTC takes the file, DYNAMIC_SHARED included: what the emulator runs is what a GPU would."""
    from cupy.cuda import nvrtc
    program = nvrtc.createProgram(planted_source(), "planted.cu", (), ())
    nvrtc.compileProgram(program, ("--std=c++17", "--gpu-architecture=sm_90", "--device-as-default-execution-space"))
    assert b"dynamic_shared_end" in nvrtc.getCUBIN(program)
    nvrtc.destroyProgram(program)


# ---- memory ----

def test_fresh_memory_is_nan_and_unwritten(planted, memory):
    """An output that a kernel leaves out is NaN on the host; reading it in a kernel is a finding."""
    x, y = memory.fresh(256), memory.fresh(256)
    assert np.isnan(emulator.fetch(x, 64, np.float32)).all() and emulator.unwritten(x, 256)
    function = planted.function("unwritten_global")
    said = error(function, 1, 64, np.uint64(x), np.uint64(y), np.int32(1))
    assert re.search(rf"unwritten: reads 4 bytes of argument 0, an array of 256 bytes that nobody wrote, at planted\.cu:"
                     rf"{line_of('unwritten_global')}", said)
    launch(function, 1, 64, np.uint64(x), np.uint64(y), np.int32(0))
    assert not emulator.unwritten(x, 256) and (emulator.fetch(y, 64, np.float32) == 1).all()
    emulator.poison(x, 256)
    assert emulator.unwritten(x, 256)
    half = np.ones(32, np.float32)
    emulator.copy_in(x, half)
    assert emulator.unwritten(x, 132) and not emulator.unwritten(x, 128)
    emulator.copy_device(y, x, 256)
    assert emulator.unwritten(y, 132) and not emulator.unwritten(y, 128)


def test_freed_memory_is_given_out_again_at_once(planted):
    """A stale pointer reads memory that is another's now, or nobody's: both are findings."""
    old = emulator.allocate(256)
    emulator.copy_in(old, np.ones(64, np.float32))
    emulator.free(old)
    y = emulator.allocate(4096)
    function = planted.function("global_read")
    assert "array of 256 bytes that was freed" in error(function, 1, 64, np.uint64(old), np.uint64(y), np.int32(0))
    assert emulator.allocate(256) == old
    assert "array of 256 bytes that nobody wrote" in error(function, 1, 64, np.uint64(old), np.uint64(y), np.int32(0))
    emulator.free(old)
    emulator.free(y)
    with pytest.raises(emulator.EmulatorError, match="free: the array at .* was freed"):
        emulator.free(old)


def test_allocations_stand_apart(planted, memory):
    """512-byte alignment as CuPy's; an overrun into another array is a finding, if it is an argument too."""
    x, other, y = memory(np.ones(64, np.float32)), memory(np.ones(64, np.float32)), memory.fresh(256)
    assert x % 512 == other % 512 == 0
    for into in (other, y):
        said = error(planted.function("global_read"), 1, 64, np.uint64(x), np.uint64(y), np.int32((into - x) // 4))
        assert re.search(r"out of bounds: reads 4 bytes (at byte \d+ of|\d+ bytes before) argument 0, an array of 256", said)
    assert emulator.allocate(0) == 0
    with pytest.raises(MemoryError, match="no room for"):
        emulator.allocate(1 << 40)


@pytest.mark.parametrize("bug", [1, -1, 128, -128])
def test_views_of_one_array_stand_apart(planted, memory, bug):
    """Parameters are views of one flat array: an overrun into the next view is a finding, even where that is an argument
    too; the same view may be several arguments."""
    flat, function = memory(np.ones(384, np.float32)), planted.function("global_read")
    views = [(flat + 512 * i, 512) for i in range(3)]

    def launch_on(out, bug):
        arguments = [pointer(views[1][0]), pointer(out[0]), np.int32(bug).tobytes()]
        function.launch((2, 1, 1), (64, 1, 1), arguments, 0, [views[1], out, None])

    for out in views:
        launch_on(out, 0)
    for out in (views[0], views[2]):
        with pytest.raises(emulator.EmulatorError, match=r"reads 4 bytes (at byte \d+ of|\d+ bytes before) argument 0, an "
                                                         "array of 512 bytes in one of 1536"):
            launch_on(out, bug)


@pytest.mark.parametrize(("call", "words"), [
    (lambda at: emulator.copy_in(at, np.zeros(65, np.float32)), "to the device of 260 bytes from byte 0 of an array of 256"),
    (lambda at: emulator.copy_out(at + 8, np.zeros(64, np.float32)), "from the device of 256 bytes from byte 8 of an array"),
    (lambda at: emulator.copy_out(1 << 20, np.zeros(4)), "no device address"),
    (lambda at: emulator.free(at + 512), "free")])
def test_copies_keep_within_arrays(memory, call, words):
    with pytest.raises(emulator.EmulatorError, match=words):
        call(memory(np.zeros(64, np.float32)))


def test_host_code_cannot_touch_device_memory():
    code = ("import sys, ctypes; sys.path.insert(0, sys.argv[1]); import emulator; at = emulator.allocate(64); "
            "print('reached', flush=True); ctypes.c_int.from_address(at).value")
    done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True,
                          check=False)
    assert done.stdout == "reached\n" and done.returncode == -11, done.stderr


# ---- launches ----

def test_orders_are_the_tests_own(planted, memory, request):
    """What ran before does not matter: seeded anew, a test sees the orders that it saw."""
    function, y = planted.function("blocks_write_one_place"), memory.fresh(4)
    first = [error(function, 16, 32, np.uint64(y), np.int32(1)) for _ in range(3)]
    error(function, 16, 32, np.uint64(y), np.int32(1))
    seed_emulator(request)
    assert [error(function, 16, 32, np.uint64(y), np.int32(1)) for _ in range(3)] == first



def test_arguments_are_read_as_cuda_reads_them(planted, memory):
    """An int where a float is declared is its bits; the first bytes of a double are no float either."""
    x, y = memory(ONES), memory.fresh(1024)
    function = planted.function("scaled")
    half = np.frombuffer(np.float64(1.1).tobytes()[:4], np.float32)[0]
    for sent, taken in ((np.float32(3), 3), (np.int32(1), np.float32(1e-45)), (np.float64(1.1), half)):
        launch(function, 4, 64, np.uint64(x), np.uint64(y), sent)
        np.testing.assert_array_equal(emulator.fetch(y, 256, np.float32), np.full(256, taken, np.float32))
    assert "takes 3 arguments, got 2" in error(function, 4, 64, np.uint64(x), np.uint64(y))
    assert "argument 1 has 4 bytes, its parameter 8" in error(
        function, 4, 64, np.uint64(x), np.uint32(y % 2**32), np.float32(1))
    assert "a null pointer" in error(function, 4, 64, np.uint64(0), np.uint64(y), np.float32(1))
    host = np.ones(256, np.float32)
    assert "neither the device's nor shared" in error(
        function, 4, 64, np.uint64(host.ctypes.data), np.uint64(y), np.float32(1))
    with pytest.raises(emulator.EmulatorError, match="there is no kernel missing"):
        planted.function("missing")


@pytest.mark.parametrize(("grid", "block"), [((0, 1, 1), (1, 1, 1)), ((1, 65536, 1), (1, 1, 1)), ((1, 1, 1), (1025, 1, 1)),
                                             ((1, 1, 1), (32, 33, 1)), ((1, 1, 1), (1, 1, 65))])
def test_limits_of_cuda(planted, grid, block):
    with pytest.raises(emulator.EmulatorError, match="is not within 1 and"):
        planted.function("indices").launch(grid, block, [pointer(0)])


def test_three_axes(planted, memory):
    """Grids and blocks along x, y and z; every thread of every block runs once."""
    y = memory.fresh(12 * 24 * 4)
    planted.function("indices").launch((2, 3, 2), (4, 2, 3), [pointer(y)])
    expected = np.add.outer(np.arange(12) * 1000, np.arange(24)).ravel()
    np.testing.assert_array_equal(emulator.fetch(y, 288, np.int32), expected)


def test_blocks_run_in_a_permuted_order(planted, memory):
    """Every block of this launch writes what another has written: which are the first two differs from launch to launch,
    and is the same for the same seed."""
    y = memory.fresh(4)
    function = planted.function("blocks_write_one_place")

    def order(number):
        emulator.seed(number)
        return [re.search(r"block (\(.*?\)), .* that block (\(.*?\)) wrote", error(
            function, 16, 32, np.uint64(y), np.int32(1))).groups() for _ in range(6)]

    assert len(set(order(1))) > 2 and order(1) == order(1) != order(2)


def test_counters(planted, memory):
    """Accesses, their bytes, distinct bytes, and which arguments were read and written."""
    x, y = memory(ONES), memory.fresh(1024)
    function = planted.function("blocks_write_after_read")
    launch(function, 4, 64, np.uint64(x), np.uint64(memory(ONES)), np.uint64(y), np.int32(0))
    counted = function.counters
    assert (counted.reads, counted.bytes_read, counted.distinct_read) == (512, 2048, 1028)
    assert (counted.writes, counted.bytes_written, counted.distinct_written) == (256, 1024, 1024)
    assert counted.arguments == ((True, False), (True, False), (False, True), (False, False))


def test_a_write_after_another_blocks_read(planted, memory):
    x, y, z = memory(ONES), memory(ONES), memory.fresh(1024)
    said = error(planted.function("blocks_write_after_read"), 4, 64, np.uint64(x), np.uint64(y), np.uint64(z), np.int32(1))
    assert re.search(r"race: (writes|reads) global memory that (block|another block) .*(read|wrote), at planted\.cu:"
                     + line_of("blocks_write_after_read"), said)


# ---- shuffles ----

def test_shuffle_masks_name_lanes_that_are_there(planted, memory):
    x, y = memory(ONES), memory.fresh(128)
    function = planted.function("shuffle_sum")
    launch(function, 1, 16, np.uint64(x), np.uint64(y), np.uint32(0xffff))
    assert (emulator.fetch(y, 16, np.float32) == 16).all()
    said = error(function, 1, 16, np.uint64(x), np.uint64(y), np.uint32(0xffffffff))
    assert re.search(rf"mask ffffffff names lane 16, but the warp has 16, at planted\.cu:{line_of('shuffle_sum')}", said)
    said = error(function, 1, 16, np.uint64(x), np.uint64(y), np.uint32(0x7fff))
    assert "thread (15, 0, 0): shuffle: its mask 00007fff leaves out the lane that calls, 15" in said


def test_shuffles_exchange_as_cuda_says(planted, memory):
    """Sources outside a segment give the lane its own value."""
    x, y = memory(INTS[:32] * 10), memory.fresh(512)
    launch(planted.function("shuffle_kinds"), 1, 32, np.uint64(x), np.uint64(y), np.int32(0))
    lane = np.arange(32)
    expected = [lane // 16 * 16 + 5, np.where(lane % 16 < 3, lane, lane - 3), np.where(lane > 28, lane, lane + 3), lane ^ 17]
    np.testing.assert_array_equal(emulator.fetch(y, 128, np.int32).reshape(4, 32), np.array(expected) * 10)
    launch(planted.function("half_warps"), 1, 32, np.uint64(memory(ONES)), np.uint64(y), np.int32(0))
    assert (emulator.fetch(y, 32, np.float32) == 16).all()


# ---- where it runs ----

def test_without_a_stack_switch_of_its_own():
    """The C library's contexts serve on processors that simt_switch.cpp does not know."""
    code = ("import sys; sys.path.insert(0, sys.argv[1]); import emulator, numpy as np, test_emulator as t; "
            "emulator.RUNTIME_FLAGS += ('-DSIMT_UCONTEXT',); y = emulator.allocate(1024); "
            "t.launch(emulator.Module(t.planted_source()).function('rounds'), 1, 256, np.uint64(y), np.int32(3)); "
            "print(emulator.fetch(y, 256, np.float32).sum())")
    done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True,
                          check=False)
    assert done.stdout == "256.0\n", done.stderr


def test_without_a_tool_for_source_lines(planted, memory, monkeypatch):
    """The finding stays, and says what is missing."""
    x, y = memory(ONES), memory.fresh(1024)
    monkeypatch.setenv("PATH", "")
    emulator.source_line.cache_clear()
    assert re.search("out of bounds: .*, at a line that only addr2line can tell", error(
        planted.function("global_read"), 4, 64, np.uint64(x), np.uint64(y), np.int32(1)))
    emulator.source_line.cache_clear()


@pytest.mark.parametrize(("call", "imported"), [
    ("memcpy(y, x, n)", "memcpy"), ("memset(y, n, n)", "memset"), ("memmove(y, x, n)", "memmove")])
def test_calls_that_nobody_watches_are_refused(call, imported):
    """A kernel file that has the compiler call the C library is not run: its accesses would pass unseen."""
    code = planted_source() + f'extern "C" __global__ void unwatched(const float* x, float* y, int n) {{ {call}; }}'
    with pytest.raises(emulator.EmulatorError, match=rf"unwatched, \.\.\.\) call {imported}, whose accesses to memory"):
        emulator.Module(code)
