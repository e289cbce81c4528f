"""The kernels' sources: minivae's own files and those that others add, with their headers, and what each kernel takes."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

from minivae.arguments import SCALARS, Parameter
from minivae.errors import MinivaeError
from minivae.system import kernel_folder

KERNEL = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
PARAMETER = re.compile(r"(const )?(\w+)(\s*\*)?\s*(?:__restrict__)?\s*(\w+)$")
INCLUDE = re.compile(r'#include "([\w./]+)"\n')


def _parse(kernel: str, text: str) -> tuple[Parameter, ...]:
    parameters = []
    for declared in (" ".join(part.split()) for part in text.split(",")):
        match = PARAMETER.match(declared)
        if match is None or match[2] not in ("real", *SCALARS):
            raise ValueError(f"kernel {kernel}: cannot read the parameter '{declared}'; types are real, "
                             f"{', '.join(SCALARS)} and pointers to them")
        parameters.append(Parameter(match[4], match[2], bool(match[3]), bool(match[1])))
    return tuple(parameters)


def _pasted(name: str, text: str, folders: tuple[Path, ...]) -> str:
    """The text of a file of that name with our own headers pasted in, each once, from the first folder that has it.
    Compilers are told each line's file and number."""
    done: set[str] = set()

    def paste(name: str, text: str) -> str:
        done.add(name)
        text = text.replace("#pragma once\n", "\n")
        return f'#line 1 "{name}"\n' + "".join(
            header(name, match[1], number) if (match := INCLUDE.match(line)) else line
            for number, line in enumerate(text.splitlines(keepends=True), 2))

    def header(within: str, name: str, following: int) -> str:
        back = f'#line {following} "{within}"\n'
        if name in done:
            return back
        found = next((folder / name for folder in folders if (folder / name).is_file()), None)
        if found is None:
            raise MinivaeError(f'{within} includes "{name}", which is not in {" or in ".join(map(str, folders))}')
        return paste(name, found.read_text()) + back

    return paste(name, text)


_added: dict[str, str] = {}     # stem to source, of files that others add


@cache
def source(stem: str) -> str:
    """The text of kernels/<stem>.cu with our own headers pasted in, each once: no compiler's cache
    can then miss that a header has changed."""
    if stem in _added:
        return _added[stem]
    folder = kernel_folder()
    return _pasted(f"{stem}.cu", (folder / f"{stem}.cu").read_text(), (folder,))


@cache
def stems() -> tuple[str, ...]:
    """The names of minivae's own kernel files, without .cu."""
    return tuple(sorted(path.stem for path in kernel_folder().glob("*.cu")))


@cache
def signatures(stem: str) -> dict[str, tuple[Parameter, ...]]:
    """The kernels of a file and their parameters."""
    return {name: _parse(name, text) for name, text in KERNEL.findall(source(stem))}


@cache
def stem_of(kernel: str) -> str:
    """The file that a kernel is in.

    Raises:
        KeyError: no such kernel.
    """
    for stem in (*stems(), *_added):
        if kernel in signatures(stem):
            return stem
    raise KeyError(f"no kernel {kernel!r} in {kernel_folder()}, nor has any of that name been added")


def signature_of(kernel: str) -> tuple[Parameter, ...]:
    """The parameters of a kernel.

    Raises:
        KeyError: no such kernel.
    """
    return signatures(stem_of(kernel))[kernel]


def source_of(kernel: str) -> str:
    """The source that a kernel is in; see source().

    Raises:
        KeyError: no such kernel.
    """
    return source(stem_of(kernel))


def add(file: str | Path) -> tuple[str, ...]:
    """Take in a kernel file from outside of minivae; see kernels.add_kernels(). The names of its kernels."""
    name, text, folders = "added.cu", file, (kernel_folder(),)
    if isinstance(file, Path) or "\n" not in file:
        path = Path(file)
        if not path.is_file():
            raise MinivaeError(f"there is no kernel file {path}")
        name, text, folders = path.name, path.read_text(), (path.resolve().parent, kernel_folder())
    whole = _pasted(name, text, folders)
    found = {kernel: _parse(kernel, parameters) for kernel, parameters in KERNEL.findall(whole)}
    if not found:
        raise MinivaeError(f'{name} has no kernel; one begins with extern "C" __global__ void name(')
    if '#line 1 "portable.cuh"' not in whole:
        raise MinivaeError(f'{name} does not #include "portable.cuh", which lets one source compile for a GPU and for a CPU')
    if taken := sorted(kernel for kernel in found if any(kernel in signatures(stem) for stem in stems())):
        raise MinivaeError(f"{name} has a kernel {taken[0]}, and so has minivae: give it another name")
    stem = f"{re.sub(r'[^A-Za-z0-9_]', '_', Path(name).stem)}-{hashlib.sha256(whole.encode()).hexdigest()[:12]}"
    for other in [other for other in _added if found.keys() & signatures(other).keys()]:
        del _added[other]
    _added[stem] = whole
    stem_of.cache_clear()
    return tuple(found)
