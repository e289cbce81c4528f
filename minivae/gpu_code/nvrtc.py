"""What NVIDIA's compiler makes of the kernels, for any architecture, on a machine without a GPU.

The options are those that CuPy's RawModule passes (13 and 14 alike; tests/test_nvrtc.py compares them with CuPy's own
code), so that the code looked at here is the code that a GPU runs.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np

from minivae.arguments import SCALARS, Parameter
from minivae.device import import_nvrtc
from minivae.errors import MinivaeError
from minivae.gpu_code import cubin, ptx
from minivae.kernels import REAL_NAMES, cuda_options
from minivae.sources import signatures, source
from minivae.work import MAX_THREADS

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
BLOCK_REGISTERS, BLOCK_SHARED = 65_536, 48 << 10        # what a block may have on all of them
VERBOSE = "--ptxas-options=-v"                          # puts what a kernel needs into the log, and changes no code

ABOUT = re.compile(r"Compiling entry function '(\w+)'(.*?)(?=Compiling entry function|\Z)", re.DOTALL)
NEEDS = {"registers": r"Used (\d+) registers", "shared": r"(\d+) bytes smem", "stack": r"(\d+) bytes stack frame",
         "spilled": r"(\d+) bytes spill (?:stores|loads)"}
WARNING = re.compile(r"^(?!Remark).*\bwarning\b.*$", re.MULTILINE | re.IGNORECASE)


class Compiled(NamedTuple):
    """A kernel as it was compiled.

    Attributes:
        registers: of each thread.
        shared: bytes of static shared memory of a block.
        stack, spilled: bytes of a thread's local memory: for arrays, and moved there for want of registers.
        slots: its parameters in the machine code.
        entry: what its PTX does.
    """

    registers: int
    shared: int
    stack: int
    spilled: int
    slots: tuple[cubin.Slot, ...]
    entry: ptx.Entry


class Build(NamedTuple):
    """A kernel file as it was compiled: the compiler's warnings, and the kernels by name."""

    warnings: tuple[str, ...]
    kernels: dict[str, Compiled]


def options(dtype, architecture: str) -> tuple[str, ...]:
    """The options that CuPy passes to NVRTC for one of our kernel files on that architecture."""
    return (*cuda_options(np.dtype(dtype)), "-ftz=true", f"-arch={architecture}", "--device-as-default-execution-space")


@cache
def build(stem: str, architecture: str, dtype=np.float32) -> Build:
    """kernels/<stem>.cu, compiled; raises as compile_source."""
    return compile_source(source(stem), options(dtype, architecture))


def compile_source(text: str, given: tuple[str, ...]) -> Build:
    """A source, compiled with those options.

    Raises:
        MinivaeError: NVRTC is missing, or does not compile it.
    """
    nvrtc = import_nvrtc()
    program = nvrtc.createProgram(text, "kernel.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*given, VERBOSE))
        return _read(nvrtc.getProgramLog(program), nvrtc.getPTX(program).decode(), nvrtc.getCUBIN(program))
    except nvrtc.NVRTCError as error:
        log = nvrtc.getProgramLog(program).strip().splitlines()
        first = next((line for line in log if "error" in line), str(error))
        version = ".".join(map(str, nvrtc.getVersion()))
        raise MinivaeError(f"NVRTC {version} does not compile for {' '.join(given)}: {first}; an unknown architecture needs "
                           "a newer nvidia-cuda-nvrtc") from error
    finally:
        nvrtc.destroyProgram(program)


def _read(log: str, assembly: str, code: bytes) -> Build:
    slots, entries, kernels = cubin.parameters(code), ptx.entries(assembly), {}
    for name, about in ABOUT.findall(log):
        needs = {what: sum(map(int, re.findall(pattern, about))) for what, pattern in NEEDS.items()}
        if not needs["registers"]:
            raise MinivaeError(f"NVRTC's log does not say how many registers {name} takes: {about.strip()!r}; take another "
                               "nvidia-cuda-nvrtc")
        kernels[name] = Compiled(**needs, slots=slots[name], entry=entries[name])
    if missing := entries.keys() - kernels.keys():
        raise MinivaeError(f"NVRTC's log says nothing of {', '.join(sorted(missing))}; take another nvidia-cuda-nvrtc")
    return Build(tuple(WARNING.findall(log)), kernels)


# ---- what may be wrong with it ----

def faults(stem: str, architecture: str, dtype=np.float32) -> list[str]:
    """What is wrong with kernels/<stem>.cu on an architecture, a line each; see faults_of."""
    return faults_of(build(stem, architecture, dtype), signatures(stem), dtype)


def faults_of(made: Build, believed: dict[str, tuple[Parameter, ...]], dtype=np.float32) -> list[str]:
    """What is wrong with a build: warnings, local memory, float64 in the float32 build, more registers or shared memory
    than a block may have, parameters that are not those that the launcher believes in."""
    found = list(made.warnings)
    if made.kernels.keys() != believed.keys():
        found.append(f"compiled {', '.join(sorted(made.kernels))} instead of {', '.join(sorted(believed))}")
    for name in made.kernels.keys() & believed.keys():
        compiled = made.kernels[name]
        wrong = (*_needs(compiled, np.dtype(dtype)), *_parameters(compiled, believed[name], dtype))
        found += [f"{name}: {fault}" for fault in wrong]
    return found


def _needs(compiled: Compiled, dtype: np.dtype):
    if compiled.spilled:
        yield f"{compiled.spilled} bytes of registers spilled to memory"
    if compiled.stack or compiled.entry.local:
        yield f"an array in local memory (a stack of {compiled.stack} bytes)"
    if compiled.entry.doubles and dtype == np.float32:
        yield f"float64 arithmetic in the float32 build: {', '.join(compiled.entry.doubles)}"
    if compiled.registers * MAX_THREADS > BLOCK_REGISTERS:
        yield f"{compiled.registers} registers for each of {MAX_THREADS} threads are more than {BLOCK_REGISTERS}"
    if compiled.shared > BLOCK_SHARED:
        yield f"{compiled.shared} bytes of shared memory are more than {BLOCK_SHARED}"


def _parameters(compiled: Compiled, believed: tuple[Parameter, ...], dtype):
    in_assembly, slots = compiled.entry.parameters, compiled.slots
    if not len(in_assembly) == len(slots) == len(believed):
        yield f"{len(slots)} parameters in the code, {len(in_assembly)} in its PTX, {len(believed)} for the launcher"
        return
    real, end = REAL_NAMES[np.dtype(dtype)], 0
    for parameter, seen, slot in zip(believed, in_assembly, slots, strict=True):
        scalar = np.dtype(SCALARS[real if parameter.ctype == "real" else parameter.ctype].numpy)
        size = 8 if parameter.pointer else scalar.itemsize
        end = -(-end // size) * size        # each lies at a multiple of its size
        if slot != (end, size):
            yield f"{parameter.name} has {slot.size} bytes at {slot.offset}, {size} bytes at {end} for the launcher"
        if (seen.type[0] == "f") != (scalar.kind == "f" and not parameter.pointer):
            yield f"{parameter.name} is a {seen.type} in the code, for the launcher {parameter.declaration()}"
        if seen.pointer != parameter.pointer:
            yield f"{parameter.name} is {'an' if seen.pointer else 'no'} address in the code, for the launcher " + \
                  parameter.declaration()
        end += size
