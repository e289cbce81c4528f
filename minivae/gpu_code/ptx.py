"""Reads PTX, NVIDIA's machine-independent assembly: what a kernel takes, and how it goes to memory."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import NamedTuple

ENTRY = re.compile(r"^\.(?:visible )?\.?entry (\w+)\((.*?)\)(.*?)^\}", re.MULTILINE | re.DOTALL)
PARAMETER = re.compile(r"\.param \.(?:align \d+ \.)?(\w+)(?: \.ptr[ .\w]*)? (\w+)(\[\d+\])?")
LOADED = re.compile(r"ld\.param\.\w+\s+(%\w+), \[(\w+)\]")
PASSED_ON = re.compile(r"\b(?:add\.s64|mov\.[ub]64|cvta\.[.\w]+|selp\.b64)\s+(%\w+), (.+);")
ADDRESS = re.compile(r"\b(ld|st)\.global[.\w]*\s[^;\[]*\[(%\w+)")
ACCESS = re.compile(r"\b(ld|st)\.global[.\w]*?(?:\.v(\d))?\.[bfsu](\d+)\b")
DOUBLE = re.compile(r"^\s*(?:@!?%\w+ )?([\w.]*\bf64[\w.]*)", re.MULTILINE)
LOCAL = re.compile(r"\.local\b|__local_depot")


class Parameter(NamedTuple):
    """One parameter of a kernel.

    Attributes:
        type: PTX's, such as u32 or f64; an array of bytes for a structure.
        loaded, stored: whether the code reads from global memory at it, and whether it writes there.
    """

    type: str
    loaded: bool
    stored: bool

    @property
    def pointer(self) -> bool:
        """Whether the code uses it as an address of global memory."""
        return self.loaded or self.stored


class Entry(NamedTuple):
    """What a kernel's code does.

    Attributes:
        parameters: in their order.
        loads, stores: for each size of an access to global memory, in bytes, how many there are.
        doubles: its instructions on float64.
        local: whether it keeps something in local memory: an array that is no register.
    """

    parameters: tuple[Parameter, ...]
    loads: dict[int, int]
    stores: dict[int, int]
    doubles: tuple[str, ...]
    local: bool


def entries(text: str) -> dict[str, Entry]:
    """The kernels of a PTX file."""
    return {name: _entry(parameters, body) for name, parameters, body in ENTRY.findall(text)}


def _entry(declared: str, body: str) -> Entry:
    addresses = _addresses(body)
    parameters = tuple(Parameter(kind + array, name in addresses["ld"], name in addresses["st"])
                       for kind, name, array in PARAMETER.findall(declared))
    counts = {"ld": Counter(), "st": Counter()}
    for access, lanes, bits in ACCESS.findall(body):
        counts[access][int(lanes or 1) * int(bits) // 8] += 1
    return Entry(parameters, dict(counts["ld"]), dict(counts["st"]), tuple(dict.fromkeys(DOUBLE.findall(body))),
                 LOCAL.search(body) is not None)


def _addresses(body: str) -> dict[str, set[str]]:
    """The parameters that are addresses of loads (ld) and of stores (st): passed on, or with something added to them, to an
    access of global memory. Numbers of elements are multiplied or shifted before they get there."""
    came_from = defaultdict(set)
    for register, parameter in LOADED.findall(body):
        came_from[register].add(parameter)
    steps = [(to, re.findall(r"%\w+", operands)) for to, operands in PASSED_ON.findall(body)]
    grown = True
    while grown:
        grown = False
        for to, operands in steps:
            found = set().union(*(came_from[operand] for operand in operands if operand in came_from))
            if not found <= came_from[to]:
                came_from[to] |= found
                grown = True
    found = {"ld": set(), "st": set()}
    for access, register in ADDRESS.findall(body):
        found[access] |= came_from[register]
    return found
