"""The symbols of a shared library: just enough of the ELF format (64 bits, little-endian) to need no tool."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

SYMBOLS, DYNAMIC_SYMBOLS = 2, 11        # sh_type: SHT_SYMTAB, SHT_DYNSYM
THREAD_LOCAL = 6                        # st_info & 15: STT_TLS


@dataclass(frozen=True)
class Symbol:
    """A name; of a thread-local variable `value` is its offset in the library's thread-local memory."""

    name: str
    kind: int
    undefined: bool         # imported
    value: int
    size: int


def symbols(path: Path, table: int) -> list[Symbol]:
    """The symbols of a library.

    Args:
        table: SYMBOLS or DYNAMIC_SYMBOLS.

    Raises:
        ValueError: not such a file.
    """
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path} is no ELF file of 64 bits, little-endian")
    at, = struct.unpack_from("<Q", data, 40)                        # e_shoff
    size, count = struct.unpack_from("<HH", data, 58)               # e_shentsize, e_shnum
    # Of each: name, type, flags, addr, offset, size, link, info, addralign, entsize.
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, at + i * size) for i in range(count)]
    found = []
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind != table:
            continue
        names = sections[link][4]
        for i in range(1, length // entry):                         # the first is none
            name, info, _, section, value, of = struct.unpack_from("<IBBHQQ", data, offset + i * entry)
            text = data[names + name:data.index(b"\0", names + name)].decode()
            found.append(Symbol(text, info & 15, section == 0, value, of))
    return found
