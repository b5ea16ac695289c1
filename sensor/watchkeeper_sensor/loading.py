"""The dynamic loader that an ELF program names (PT_INTERP). Source: elf(5)."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from watchkeeper_sensor.hashing import opened

if TYPE_CHECKING:
    from watchkeeper_sensor.hashing import FileKey

INTERPRETER = 3  # PT_INTERP
HEADER_BYTES = 64
MOST_HEADERS = 128
PATH_BYTES = 4096
SHAPES = {1: ("I", 28, 42, "IIIIIIII", (0, 1, 4)), 2: ("Q", 32, 54, "IIQQQQQQ", (0, 2, 5))}
"""Class of the file → format of an offset, where those of the headers and their length and count are told, format of a header, places of its type, offset
and size."""


def loader_of(path: str, key: FileKey) -> tuple[str | None, str]:
    """(loader, empty text) of a program that is still the one that `key` names, the loader empty for one without; (None, why not) otherwise."""
    try:
        number = opened(path, key)
    except OSError:
        return None, "gone"
    if number is None:
        return None, "changed"
    try:
        return named_in(number), ""
    except OSError:
        return None, "gone"
    except (struct.error, KeyError):  # no ELF file, or one that nothing can load
        return "", ""
    finally:
        os.close(number)


def named_in(number: int) -> str:
    """The loader that the file behind a descriptor names; empty where it names none. Raises OSError, and struct.error or KeyError for no ELF file."""
    header = os.pread(number, HEADER_BYTES, 0)
    if not header.startswith(b"\x7fELF"):
        return ""
    order = {1: "<", 2: ">"}[header[5]]
    word, start_at, counts_at, form, (kind, offset, size) = SHAPES[header[4]]
    (start,), (length, count) = struct.unpack_from(f"{order}{word}", header, start_at), struct.unpack_from(f"{order}HH", header, counts_at)
    for at in range(min(count, MOST_HEADERS)):
        found = struct.unpack_from(f"{order}{form}", os.pread(number, length, start + at * length))
        if found[kind] == INTERPRETER:
            return os.pread(number, min(found[size], PATH_BYTES), found[offset]).partition(b"\0")[0].decode("utf-8", "backslashreplace")
    return ""
