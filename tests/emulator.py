"""A GPU in software: device memory, and kernels that run thread by thread and are watched (kernels/host/simt*).

Module takes the source that minivae hands to cupy.RawModule; Function.launch takes what cuLaunchKernel takes, the
bytes of each argument, and raises an EmulatorError that names kernel, block, thread and source line of what it found.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import elf
import numpy as np

from minivae.host import compiler
from minivae.system import kernel_folder

RUNTIME = ("simt_abi.h", "simt_memory.cpp", "simt_check.cpp", "simt_switch.cpp", "simt_threads.cpp", "simt_launch.cpp")
PRELUDE = ("simt_abi.h", "simt_kernel.h")
RUNTIME_FLAGS = ("-O2", "-std=c++17", "-fPIC", "-shared", "-Wall")
# -nodefaultlibs leaves out the sanitizers' own runtimes, in whose place ours stands. Loops must not become calls of
# memset, which nobody would watch, and no two libraries may share their shared memory: hence hidden.
KERNEL_FLAGS = ("-O1", "-g", "-std=c++17", "-fPIC", "-shared", "-march=native", "-ffp-contract=fast", "-fno-math-errno",
                "-fno-exceptions", "-fvisibility=hidden", "-fno-tree-loop-distribute-patterns", "-Wno-unknown-pragmas",
                "-fsanitize=thread,undefined,float-cast-overflow", "-nodefaultlibs", "-lm", "-lc", "-lgcc")
# What a kernel's library may call, beside the runtime's own: functions of numbers, and what starts and ends a library.
# Nobody watches what others, memcpy first of all, do to memory.
MAY_CALL = re.compile("(__tsan|__ubsan|simt)_.*|_ITM_(de)?registerTMCloneTable|__cxa_finalize|__gmon_start__|__tls_get_addr|"
                      "(exp|exp2|expm1|log|log1p|log2|erf|erfc|pow|sqrt|tanh|sin|cos|fma|fabs|floor|ceil|rint|trunc|fmin|"
                      "fmax|fmod|ldexp)f?")
KERNEL = re.compile(r'extern "C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(')
MOST_POINTERS = 30              # of a kernel, as in simt_memory.cpp
MOST_THREADS, MOST_GRID = 1024, (2**31 - 1, 65535, 65535)

_lock = threading.RLock()       # the runtime is one device


class EmulatorError(Exception):
    """What a GPU would have done wrong, a line for each finding."""


# ---- the runtime ----

class _Finding(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 400), ("where", ctypes.c_void_p), ("elsewhere", ctypes.c_void_p),
                ("if_lines_differ", ctypes.c_bool)]


class _Counters(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "reads", "writes", "bytes_read", "bytes_written", "distinct_read", "distinct_written")]


@cache
def _runtime() -> ctypes.CDLL:
    folder = kernel_folder() / "host"
    source = "".join(f'#line 1 "{name}"\n{(folder / name).read_text()}' for name in RUNTIME)
    path = compiler.build("simt", source, flags=RUNTIME_FLAGS)
    library = ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)     # kernels' libraries find its functions
    size, pointer, text = ctypes.c_uint64, ctypes.c_void_p, ctypes.c_char_p
    for name, result, *arguments in (
            ("allocate", size, size), ("free", text, size), ("copy_in", text, size, pointer, size),
            ("copy_out", text, size, pointer, size), ("copy_device", text, size, size, size), ("poison", text, size, size),
            ("copy_in_masked", text, size, pointer, pointer, size), ("written", text, size, pointer, size),
            ("unwritten", text, size, size, pointer), ("seed", None, size), ("counters", ctypes.POINTER(_Counters)),
            ("finding", ctypes.POINTER(_Finding), ctypes.c_int), ("argument_use", ctypes.c_int, ctypes.c_int),
            ("launch", ctypes.c_int, pointer, pointer, pointer, ctypes.c_uint, pointer, pointer,
             pointer, ctypes.c_int)):
        function = getattr(library, f"simt_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def _call(name: str, *arguments) -> None:
    with _lock:
        wrong = getattr(_runtime(), f"simt_{name}")(*arguments)
    if wrong:
        raise EmulatorError(wrong.decode())


# ---- memory ----

def allocate(nbytes: int) -> int:
    """The device address of fresh memory, a multiple of 512, full of NaN and counted as unwritten; 0 for 0 bytes.

    What was freed last with room for as much is given out again first.

    Raises:
        MemoryError: the device is full.
    """
    with _lock:
        address = _runtime().simt_allocate(nbytes)
    if not address and nbytes:
        raise MemoryError(f"the emulated device has no room for {nbytes} bytes")
    return address


def free(address: int) -> None:
    """Give an allocation back."""
    _call("free", address)


def copy_in(address: int, array: np.ndarray) -> None:
    """Copy a C-contiguous NumPy array to the device; its bytes count as written."""
    _check_contiguous(array)
    _call("copy_in", address, array.ctypes.data, array.nbytes)


def copy_in_masked(address: int, array: np.ndarray, mask: np.ndarray) -> None:
    """Copy those bytes of a C-contiguous NumPy array to the device where `mask`, a bool for each byte, is True."""
    _check_contiguous(array)
    _check_contiguous(mask)
    if mask.dtype != bool or mask.size != array.nbytes:
        raise ValueError(f"a mask of {mask.size} {mask.dtype} for {array.nbytes} bytes; a bool for each byte is needed")
    _call("copy_in_masked", address, array.ctypes.data, mask.ctypes.data, array.nbytes)


def copy_out(address: int, array: np.ndarray) -> None:
    """Copy from the device into a C-contiguous NumPy array."""
    _check_contiguous(array)
    if not array.flags.writeable:
        raise ValueError("the array to copy into is read-only")
    _call("copy_out", address, array.ctypes.data, array.nbytes)


def fetch(address: int, count: int, dtype) -> np.ndarray:
    """A new array of `count` numbers with what is at an address."""
    array = np.empty(count, dtype)
    copy_out(address, array)
    return array


def copy_device(to: int, from_: int, nbytes: int) -> None:
    """Copy on the device; what was unwritten is so in the copy."""
    _call("copy_device", to, from_, nbytes)


def poison(address: int, nbytes: int) -> None:
    """Make memory as it is after allocate()."""
    _call("poison", address, nbytes)


def unwritten(address: int, nbytes: int) -> bool:
    """Whether nobody wrote some of these bytes."""
    count = ctypes.c_uint64()
    _call("unwritten", address, nbytes, ctypes.addressof(count))
    return count.value > 0


def written(address: int, nbytes: int) -> np.ndarray:
    """Of each of these bytes, whether somebody wrote it: bool, (nbytes,)."""
    states = np.empty(nbytes, bool)
    _call("written", address, states.ctypes.data, nbytes)
    return states


def _check_contiguous(array: np.ndarray) -> None:
    if not array.flags.c_contiguous:
        raise ValueError(f"an array of shape {array.shape} and strides {array.strides} is not C-contiguous")


def seed(number: int) -> None:
    """Start the orders of blocks and warps anew."""
    with _lock:
        _runtime().simt_seed(number)


# ---- kernels ----

class _Parameter(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint), ("pointer", ctypes.c_bool)]


class _Kernel(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("count", ctypes.c_uint), ("parameters", ctypes.POINTER(_Parameter)),
                ("enter", ctypes.c_void_p), ("anchor", ctypes.c_void_p)]


@dataclass(frozen=True)
class Counters:
    """What a launch did to global memory. distinct_*: bytes, each counted once."""

    reads: int              # accesses of any size
    writes: int
    bytes_read: int
    bytes_written: int
    distinct_read: int
    distinct_written: int
    arguments: tuple[tuple[bool, bool], ...]    # of each: whether it was read and whether it was written through


class Module:
    """Kernels compiled from CUDA source.

    Args:
        code: the source, with all headers pasted in.
        options: NVRTC's; those that begin with -D matter here.

    Raises:
        MinivaeError: it does not compile.
        EmulatorError: the compiler made a call of a function that works on memory unwatched.
    """

    def __init__(self, code: str, options: tuple[str, ...] = ()):
        _runtime()
        self.names = KERNEL.findall(code)
        prelude = "".join(f'#line 1 "{name}"\n{(kernel_folder() / "host" / name).read_text()}' for name in PRELUDE)
        source = (f'{prelude}#line 1 "kernel.cu"\n{code}\n#line 1 "entries"\n' +
                  "".join(f"SIMT_KERNEL({name})\n" for name in self.names))
        defines = tuple(option[2:] for option in options if option.startswith("-D"))
        self.path = compiler.build("simt-kernels", source, defines, KERNEL_FLAGS)
        self._require_watched()
        arrays = [symbol for symbol in elf.symbols(self.path, elf.SYMBOLS)
                  if symbol.kind == elf.THREAD_LOCAL and "simt_" not in symbol.name]
        self.shared = (ctypes.c_uint64 * 2 * len(arrays))(*((array.value, array.size) for array in arrays))
        self.library = compiler.load(self.path)

    def _require_watched(self) -> None:
        strange = sorted(symbol.name for symbol in elf.symbols(self.path, elf.DYNAMIC_SYMBOLS)
                         if symbol.undefined and not MAY_CALL.fullmatch(symbol.name))
        if strange:
            raise EmulatorError(f"kernels ({', '.join(self.names[-3:])}, ...) call {', '.join(strange)}, whose accesses to "
                                "memory would go unchecked: write loops over elements in their place, or extend MAY_CALL by "
                                "a function of numbers")

    def function(self, name: str) -> Function:
        """The kernel of that name.

        Raises:
            EmulatorError: there is none.
        """
        if name not in self.names:
            raise EmulatorError(f"there is no kernel {name} in this module, only {', '.join(self.names)}")
        return Function(self, name)


class Function:
    """A kernel of a module; `counters` says what its last launch did."""

    def __init__(self, module: Module, name: str):
        self.module, self.name = module, name
        self.kernel = _Kernel.in_dll(module.library, f"simt_kernel_{name}")
        self.sizes = [self.kernel.parameters[i].size for i in range(self.kernel.count)]
        self.counters: Counters | None = None

    def launch(self, grid: tuple[int, int, int], block: tuple[int, int, int], arguments: Sequence[bytes],
               shared_bytes: int = 0, extents: Sequence[tuple[int, int] | None] | None = None) -> None:
        """Run the kernel.

        Args:
            grid: blocks along x, y and z.
            block: threads along x, y and z.
            arguments: the bytes of each, read as the kernel's parameter types whatever was meant; longer ones are
                cut off, as CUDA does.
            shared_bytes: of dynamic shared memory, for each block.
            extents: of each argument that is an array (address, bytes): it may not be used for others, even of the
                same allocation. None: all of the allocation.

        Raises:
            EmulatorError: one line a finding.
        """
        self._check(grid, block, arguments, shared_bytes)
        three = ctypes.c_uint * 3
        buffers = [ctypes.create_string_buffer(value, max(8, len(value))) for value in arguments]
        pointers = (ctypes.c_void_p * max(1, len(buffers)))(*map(ctypes.addressof, buffers))
        extents = [extent and (ctypes.c_uint64 * 2)(*extent) for extent in extents or [None] * len(buffers)]
        spans = (ctypes.c_void_p * max(1, len(buffers)))(*(extent and ctypes.addressof(extent) for extent in extents))
        with _lock:
            runtime = _runtime()
            count = runtime.simt_launch(ctypes.addressof(self.kernel), three(*grid), three(*block), shared_bytes, pointers,
                                        spans, self.module.shared, len(self.module.shared))
            lines = [self._line(runtime.simt_finding(i).contents) for i in range(count)]
            uses = [runtime.simt_argument_use(i) for i in range(len(arguments))]
            numbers = runtime.simt_counters().contents
            self.counters = Counters(*(getattr(numbers, name) for name, _ in _Counters._fields_),
                                     tuple((bool(use & 1), bool(use & 2)) for use in uses))
        if any(lines):
            raise EmulatorError("\n".join(filter(None, lines)))

    def _check(self, grid, block, arguments, shared_bytes: int) -> None:
        if not all(1 <= n <= most for n, most in zip(grid, MOST_GRID, strict=True)):
            raise EmulatorError(f"kernel {self.name}: a grid of {grid} is not within 1 and {MOST_GRID}")
        if min(block) < 1 or block[2] > 64 or block[0] * block[1] * block[2] > MOST_THREADS:
            raise EmulatorError(f"kernel {self.name}: a block of {block} is not within 1 and {MOST_THREADS} threads, "
                                "64 along z")
        if not 0 <= shared_bytes <= 227 << 10:
            raise EmulatorError(f"kernel {self.name}: {shared_bytes} bytes of dynamic shared memory; "
                                "a block has at most 227 KiB")
        if sum(self.kernel.parameters[i].pointer for i in range(self.kernel.count)) > MOST_POINTERS:
            raise EmulatorError(f"kernel {self.name} has more than {MOST_POINTERS} pointers: raise MOST_POINTERS, here and "
                                "in simt_memory.cpp")
        if len(arguments) != len(self.sizes):
            raise EmulatorError(f"kernel {self.name} takes {len(self.sizes)} arguments, got {len(arguments)}")
        for i, (value, size) in enumerate(zip(arguments, self.sizes, strict=True)):
            if len(value) < size:
                raise EmulatorError(f"kernel {self.name}: argument {i} has {len(value)} bytes, its parameter {size}")

    def _line(self, finding: _Finding) -> str | None:
        at = source_line(self.module.path, finding.where)
        there = source_line(self.module.path, finding.elsewhere) if finding.elsewhere else ""
        if finding.if_lines_differ and at == there:
            return None
        return f"{finding.text.decode()}, at {at}" + (f"; the other at {there}" if there else "")


# ---- source lines ----

class _SymbolInfo(ctypes.Structure):
    _fields_ = [("file", ctypes.c_char_p), ("base", ctypes.c_void_p), ("symbol", ctypes.c_char_p), ("at", ctypes.c_void_p)]


@cache
def source_line(library: Path, address: int) -> str:
    """Where in the source a call returns to: "batch_norm.cu:70", or "batch_norm.cu:70 (in portable.cuh:72)"."""
    info, libc = _SymbolInfo(), ctypes.CDLL(None)
    if not libc.dladdr(ctypes.c_void_p(address), ctypes.byref(info)):
        return "an unknown place"
    tool = shutil.which("addr2line") or shutil.which("llvm-addr2line")
    if tool is None:
        return "a line that only addr2line can tell (apt install binutils)"
    said = subprocess.run([tool, "-i", "-e", str(library), hex(address - 1 - info.base)], capture_output=True, text=True,
                          check=True).stdout
    frames = [re.sub(r" \(discriminator \d+\)", "", line.rpartition("/")[2]) for line in said.splitlines()]
    frames = [frame for frame in frames if not frame.startswith("?")] or ["a line that is not in the debug information"]
    frames = [frame for frame in frames if not frame.startswith("simt_kernel.h:")] or frames
    outer = next((frame for frame in frames if ".cu:" in frame), frames[-1])
    return outer if outer == frames[0] else f"{outer} (in {frames[0]})"
