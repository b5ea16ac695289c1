"""Segments: files of frames, each with its length and checksum, that are only ever appended to.

A frame is a header (length of the payload, CRC-32 of what follows, number, kind) and the payload. Numbers count up by one inside a segment, and a
segment's file is named by its first. A frame that was not written to its end, or was damaged later, is told by its checksum; one that is followed by
a good one is a hole, otherwise the segment ends before it.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ("damaged", "detection", "match", "loss")
NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
PAYLOAD_BYTES = 1 << 20  # of one frame at most
SUFFIX = ".frames"

_header = struct.Struct("<IIQI")
_checked = struct.Struct("<QI")
HEADER_BYTES = _header.size


class Entry(NamedTuple):
    """One thing that was kept."""

    number: int
    kind: str
    payload: bytes


class Frame(NamedTuple):
    """Where an entry stands in its file."""

    offset: int
    number: int
    kind: int  # 0: damaged
    length: int


def _checksum(number: int, kind: int, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(_checked.pack(number, kind)))


def frame_of(number: int, kind: int, payload: bytes) -> bytes:
    return _header.pack(len(payload), _checksum(number, kind, payload), number, kind) + payload


def frames_in(content: bytes, first: int) -> list[Frame]:
    """Frames of a segment's file whose first number is `first`; damaged ones only where a good one follows. Never raises."""
    found: list[Frame] = []
    good = at = 0  # frames found up to the last good one; where we are
    while at + HEADER_BYTES <= len(content):
        length, checksum, number, kind = _header.unpack_from(content, at)
        end = at + HEADER_BYTES + length
        if length > PAYLOAD_BYTES or end > len(content):
            break
        is_good = number == first + len(found) and 0 < kind < len(KINDS) and checksum == _checksum(number, kind, memoryview(content)[at + HEADER_BYTES : end])
        found.append(Frame(at, first + len(found), kind if is_good else 0, length))
        good = len(found) if is_good else good
        at = end
    return found[:good]


class Segment:
    """One file. Kinds of its frames are kept in memory, a byte each; payloads are not."""

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        self.first = first
        self.kinds = bytearray()
        self.size = 0  # up to the end of the last good frame
        self._number: int | None = None
        self._place = (first, 0)  # number and offset of the frame that is read next

    @property
    def last(self) -> int:
        return self.first + len(self.kinds) - 1

    @classmethod
    def create(cls, folder: Path, first: int) -> Segment:
        """A new file. Raises OSError."""
        made = cls(folder / f"{first:020d}{SUFFIX}", first)
        made._number = os.open(made.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        return made

    @classmethod
    def found(cls, path: Path) -> Segment:
        """A file of an earlier run, read through; one that can't be read has no frames. Raises ValueError for a name that is no number."""
        made = cls(path, int(path.name.removesuffix(SUFFIX)))
        try:
            frames = frames_in(path.read_bytes(), made.first)
        except OSError:
            frames = []
        made.kinds = bytearray(frame.kind for frame in frames)
        made.size = frames[-1].offset + HEADER_BYTES + frames[-1].length if frames else 0
        return made

    def append(self, kind: int, payload: bytes) -> None:
        """Raises OSError, and is then as it was before."""
        if self._number is None:
            raise OSError(f"{self.path} is closed")
        frame = frame_of(self.first + len(self.kinds), kind, payload)
        written = 0
        try:
            while written < len(frame):
                written += os.pwrite(self._number, frame[written:], self.size + written)
        except OSError:
            os.ftruncate(self._number, self.size)  # gives back what a full disk took of it
            raise
        self.kinds.append(kind)
        self.size += len(frame)

    @property
    def descriptor(self) -> int | None:
        """Of the file, while it is written to."""
        return self._number

    def entries(self, after: int, most: int) -> Iterator[Entry]:
        """Entries with a number above `after`, at most so many; of kind `damaged` what was good before and is not any more. Raises OSError."""
        number, offset = self._place if self._place[0] <= after + 1 else (self.first, 0)
        with self.path.open("rb") as file:
            file.seek(offset)
            while number <= self.last and most > 0:
                entry = self._read(file, number)
                if entry is None:  # damaged in a way that hides where the next one begins
                    for lost in range(number, self.last + 1):
                        yield from self._damaged(lost)
                    return
                number += 1
                self._place = (number, file.tell())
                if number - 1 > after:
                    most -= 1
                    yield from [entry] if entry.kind != KINDS[0] else self._damaged(entry.number)

    def _read(self, file: BinaryIO, number: int) -> Entry | None:
        header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            return None
        length, checksum, found, kind = _header.unpack(header)
        payload = file.read(length) if length <= PAYLOAD_BYTES else b""
        if len(payload) < length:
            return None
        is_good = found == number and kind == self.kinds[number - self.first] and checksum == _checksum(number, kind, payload)
        return Entry(number, KINDS[kind], payload) if is_good else Entry(number, KINDS[0], b"")

    def _damaged(self, number: int) -> Iterator[Entry]:
        """Told once."""
        if self.kinds[number - self.first]:
            self.kinds[number - self.first] = 0
            yield Entry(number, KINDS[0], b"")

    def close(self) -> None:
        if self._number is not None:
            os.close(self._number)
            self._number = None

    def remove(self) -> None:
        """Raises OSError."""
        self.close()
        self.path.unlink(missing_ok=True)
