"""What the splitter hands on: whole records, runs of them, and bytes that are none."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

BETWEEN = re.compile(rb"[\s,]*")
RAWS = msgspec.json.Decoder(list[msgspec.Raw])


class Piece(NamedTuple):
    """One whole record."""

    number: int
    offset: int
    content: bytes

    def offset_of(self, _number: int) -> int:
        return self.offset


class Damage(NamedTuple):
    """Bytes that are no record: why, and how they begin."""

    number: int
    offset: int
    reason: str
    excerpt: bytes


class Lines:
    """A run of whole lines. `ends` are where each line stops (its newline), `number` is the first line's."""

    __slots__ = ("base", "buffer", "ends", "number", "start")

    def __init__(self, buffer: bytes, start: int, ends: list[int], number: int, base: int) -> None:
        self.buffer = buffer
        self.start = start
        self.ends = ends
        self.number = number
        self.base = base  # offset of buffer[0] in the stream

    @property
    def content(self) -> memoryview:
        return memoryview(self.buffer)[self.start : self.ends[-1]]

    def indices_with(self, byte: bytes) -> Iterator[int]:
        """Which of the lines hold this byte, by index."""
        find, ends = self.buffer.find, self.ends
        at = find(byte, self.start, ends[-1])
        while at >= 0:
            index = bisect_left(ends, at)
            yield index
            at = find(byte, ends[index], ends[-1])

    def _start_of(self, number: int) -> int:
        index = number - self.number
        return self.ends[index - 1] + 1 if index else self.start

    def offset_of(self, number: int) -> int:
        return self.base + self._start_of(number)

    def piece(self, number: int) -> Piece:
        start = self._start_of(number)
        return Piece(number, self.base + start, self.buffer[start : self.ends[number - self.number]])

    def pieces(self) -> Iterator[Piece]:
        for number in range(self.number, self.number + len(self.ends)):
            yield self.piece(number)


class Elements:
    """A run of whole elements of an array. `records` are decoded by the decoder that the splitter was given, if it could."""

    __slots__ = ("_raws", "_starts", "base", "content", "decoder", "number", "records")

    def __init__(self, content: bytes, number: int, base: int) -> None:
        self.content = content  # with brackets around
        self.number = number
        self.base = base  # offset of content[0] in the stream
        self.decoder: msgspec.json.Decoder[list[Any]] | None = None  # the one that `records` came from
        self.records: list[Any] | None = None
        self._raws: list[msgspec.Raw] | None = None
        self._starts: list[int] = []

    def decode(self, decoder: msgspec.json.Decoder[list[Any]] | None) -> int:
        """Number of elements; 0 when the content is no array of whole elements."""
        if decoder is not None:
            try:
                self.records = decoder.decode(self.content)
            except (msgspec.ValidationError, UnicodeError):
                pass
            except (msgspec.DecodeError, RecursionError):
                return 0
            else:
                self.decoder = decoder
                return len(self.records)
        try:
            return len(self._elements())
        except (msgspec.DecodeError, RecursionError):
            return 0

    def _elements(self) -> list[msgspec.Raw]:
        if self._raws is None:
            self._raws = RAWS.decode(self.content)
        return self._raws

    def piece(self, number: int) -> Piece:
        raws = self._elements()
        if not self._starts:
            at = 1
            for raw in raws:
                match = BETWEEN.match(self.content, at)
                start = match.end() if match else at
                self._starts.append(start)
                at = start + len(memoryview(raw))
        index = number - self.number
        start = self._starts[index]
        return Piece(number, self.base + start, self.content[start : start + len(memoryview(raws[index]))])

    def offset_of(self, number: int) -> int:
        return self.piece(number).offset

    def pieces(self) -> Iterator[Piece]:
        for number in range(self.number, self.number + len(self._elements())):
            yield self.piece(number)


Split = Piece | Damage | Lines | Elements
Run = Piece | Lines | Elements
"""What knows the offset of a record in it."""
