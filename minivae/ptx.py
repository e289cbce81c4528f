"""Reads PTX, NVIDIA's machine-independent assembly: what a kernel takes, and how it goes to memory."""

from __future__ import annotations

import re
from typing import NamedTuple

ENTRY = re.compile(r"^\.(?:visible )?\.?entry (\w+)\((.*?)\)(.*?)^\}", re.MULTILINE | re.DOTALL)
PARAMETER = re.compile(r"\.param \.(?:align \d+ \.)?(\w+)((?: \.ptr[ .\w]*)?) (\w+)(\[\d+\])?")
LOADED = re.compile(r"ld\.param\.\w+\s+(%\w+), \[(\w+)\]")
GLOBAL_ADDRESS = re.compile(r"cvta\.to\.global\.u64\s+%\w+, (%\w+)")
ACCESS = re.compile(r"\b(ld|st)\.global[.\w]*?(?:\.v(\d))?\.[bfsu](\d+)\b")
DOUBLE = re.compile(r"^\s*(?:@!?%\w+ )?([\w.]*\bf64[\w.]*)", re.MULTILINE)
LOCAL = re.compile(r"\.local\b|__local_depot")


class Parameter(NamedTuple):
    """One parameter of a kernel.

    Attributes:
        type: PTX's, such as u32 or f64; an array of bytes for a structure.
        pointer: whether the code uses it as the address of global memory.
    """

    type: str
    pointer: bool


class Entry(NamedTuple):
    """What a kernel's code does.

    Attributes:
        parameters: in their order.
        load, store: bytes of the widest access to global memory; 0 for none.
        doubles: its instructions on float64.
        local: whether it keeps something in local memory: an array that is no register.
    """

    parameters: tuple[Parameter, ...]
    load: int
    store: int
    doubles: tuple[str, ...]
    local: bool


def entries(text: str) -> dict[str, Entry]:
    """The kernels of a PTX file."""
    return {name: _entry(parameters, body) for name, parameters, body in ENTRY.findall(text)}


def _entry(declared: str, body: str) -> Entry:
    registers = {parameter: register for register, parameter in LOADED.findall(body)}
    addresses = set(GLOBAL_ADDRESS.findall(body))
    parameters = tuple(Parameter(kind + array, bool(marked) or registers.get(name) in addresses)
                       for kind, marked, name, array in PARAMETER.findall(declared))
    widths = {"ld": 0, "st": 0}
    for access, lanes, bits in ACCESS.findall(body):
        widths[access] = max(widths[access], int(lanes or 1) * int(bits) // 8)
    return Entry(parameters, widths["ld"], widths["st"], tuple(dict.fromkeys(DOUBLE.findall(body))),
                 LOCAL.search(body) is not None)
