"""Where a constant of the programs stands in their object file: libbpf sets constants by place, and the linker decides on the place."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

SECTION = ".rodata"
SYMBOLS = 2  # SHT_SYMTAB
_header = struct.Struct("<40xQ10xHHH")  # of an ELF file: where section headers are, their size, number, and which one names them
_section = struct.Struct("<II16xQQI12xQ")  # name, type, place, size, link, size of an entry
_symbol = struct.Struct("<I2xHQQ")  # name, section, value, size


class ConstantPlace(NamedTuple):
    """In the section of constants; bytes."""

    offset: int
    size: int


def constant_at(path: Path, name: str) -> ConstantPlace | None:
    """None where the object has no such constant. Raises OSError, struct.error for what is no object of 64 bits. Source: elf(5)."""
    content = path.read_bytes()
    start, size, count, names = _header.unpack_from(content)
    sections = [_section.unpack_from(content, start + number * size) for number in range(count)]
    constants = next((number for number, one in enumerate(sections) if _text(content, sections[names][2], one[0]) == SECTION), None)
    for _, kind, place, length, link, entry in sections:
        if kind != SYMBOLS:
            continue
        for at in range(place, place + length, entry):
            called, section, value, extent = _symbol.unpack_from(content, at)
            if section == constants and _text(content, sections[link][2], called) == name:
                return ConstantPlace(value, extent)
    return None


def _text(content: bytes, table: int, at: int) -> str:
    return content[table + at : content.index(b"\0", table + at)].decode(errors="replace")
