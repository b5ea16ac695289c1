"""What the spool must remember even on a full disk: how far the receiver has confirmed, and what was lost and not stated yet.

The file has its full length from the start and two places that are written in turn, so that writing needs no new block and a write that was cut short
leaves the other place whole.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

PLACE_BYTES = 4096
_header = struct.Struct("<QII")  # generation, length, CRC-32 of generation and text


class Owed(msgspec.Struct):
    """Entries that were lost and of which the receiver does not know yet."""

    counts: dict[str, int] = msgspec.field(default_factory=dict)  # kind → how many
    since: int = 0  # nanoseconds since the epoch
    until: int = 0


class State(msgspec.Struct):
    acknowledged: int = 0
    dropped: int = 0  # the newest entry that gave way to others
    synced: int = 0  # the newest entry that is known to be on the disk itself
    owed: dict[str, Owed] = msgspec.field(default_factory=dict)  # cause → what


class StateFile:
    """Written in place; what it can't write it counts, and tries again next time."""

    def __init__(self, path: Path) -> None:
        self.failed = 0
        self._path = path
        self._generation = 0
        self._number: int | None = None
        self._open()

    def _open(self) -> None:
        try:
            number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            self.failed += 1
            return
        try:
            os.posix_fallocate(number, 0, 2 * PLACE_BYTES)
        except OSError:
            self.failed += 1
            if os.fstat(number).st_size < 2 * PLACE_BYTES:
                os.close(number)
                return
        self._number = number

    def read(self) -> State:
        """The newer place that is whole; a new state where none is."""
        found = State()
        for place in (0, 1) if self._number is not None else ():
            content = os.pread(self._number or 0, PLACE_BYTES, place * PLACE_BYTES)
            if len(content) < _header.size:
                continue
            generation, length, checksum = _header.unpack_from(content)
            text = content[_header.size : _header.size + length]
            if len(text) != length or generation <= self._generation or zlib.crc32(text, generation & 0xFFFFFFFF) != checksum:
                continue
            try:
                found = msgspec.json.decode(text, type=State)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            self._generation = generation
        return found

    def write(self, state: State) -> bool:
        """Whether the file holds it now; on the disk itself after `sync`."""
        if self._number is None:
            self._open()
        generation, text = self._generation + 1, msgspec.json.encode(state)
        content = _header.pack(generation, len(text), zlib.crc32(text, generation & 0xFFFFFFFF)) + text
        try:
            if self._number is None or len(content) > PLACE_BYTES or os.pwrite(self._number, content, generation % 2 * PLACE_BYTES) != len(content):
                self.failed += 1
                return False
        except OSError:
            self.failed += 1
            return False
        self._generation = generation
        return True

    @property
    def descriptor(self) -> int | None:
        """Of the file, when it could be opened."""
        return self._number

    def close(self) -> None:
        if self._number is not None:
            os.close(self._number)
            self._number = None
