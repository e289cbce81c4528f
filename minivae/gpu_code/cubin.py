"""Reads from a GPU's machine code (a cubin, an ELF file) which parameters each kernel takes."""

from __future__ import annotations

import struct
from typing import NamedTuple

SECTION = struct.Struct("<IIQQQQIIQQ")      # an ELF64 section header: name, type, flags, address, offset, size, ...
INFO = ".nv.info."                          # before a kernel's name: the section of its attributes
WITH_VALUE, PARAMETER = 4, 0x17             # an attribute's format with bytes behind it; the attribute of a parameter


class Slot(NamedTuple):
    """Where a parameter lies in the memory that a launch hands over; both in bytes."""

    offset: int
    size: int


def parameters(code: bytes) -> dict[str, tuple[Slot, ...]]:
    """The parameters of each kernel in a cubin, in their order.

    Raises:
        ValueError: it is no 64-bit ELF file.
    """
    if code[:5] != b"\x7fELF\x02":
        raise ValueError("the machine code is no 64-bit ELF file, as cubins are")
    return {name.removeprefix(INFO): _slots(data) for name, data in _sections(code) if name.startswith(INFO)}


def _sections(code: bytes):
    """(name, contents) of each section that has contents."""
    start, = struct.unpack_from("<Q", code, 40)
    size, count, of_names = struct.unpack_from("<3H", code, 58)
    headers = [SECTION.unpack_from(code, start + size * i) for i in range(count)]
    names = headers[of_names][4]
    for name, _, _, _, offset, length, *_ in headers:
        end = code.index(b"\0", names + name)
        yield code[names + name:end].decode(), code[offset:offset + length]


def _slots(info: bytes) -> tuple[Slot, ...]:
    """The parameters among a kernel's attributes, each (format, attribute, value or the length of what follows)."""
    found, at = {}, 0
    while at < len(info):
        form, attribute, value = struct.unpack_from("<BBH", info, at)
        at += 4
        if form != WITH_VALUE:
            continue
        if attribute == PARAMETER:      # index, ordinal, offset, and the size from the 18th bit on
            _, ordinal, offset, bits = struct.unpack_from("<IHHI", info, at)
            found[ordinal] = Slot(offset, bits >> 18)
        at += value
    return tuple(found[i] for i in range(len(found)))
