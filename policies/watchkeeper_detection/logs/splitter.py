"""Chunks of bytes → runs of whole records, in memory that does not grow with the input.

Lines: a run of whole lines. Documents (`{"Records":[…]}`, `EventList`, a top-level array): the array's elements, cut
without looking at each token in Python. From a record's start the end of a run is *guessed*: a `}` followed by what stood
between two records before. A guess is right exactly if the run in brackets decodes as one JSON array, for decoding is
deterministic from the record's start; where it does not, records are found one by one by their brackets and strings.

Numbers count lines, and the records of documents; where both occur in one stream, each is one more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.logs.json_scan import OPENING, SPACE, nested_end, value_end
from watchkeeper_detection.logs.pieces import BETWEEN, Damage, Elements, Lines, Piece, Split
from watchkeeper_detection.logs.separators import SPACE_BYTES, Separators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import msgspec

RECORD_BYTES = 16 << 20  # a longer record is rejected
LINES_BYTES = 64 << 10  # a run of lines is cut here: what one wrong line makes us decode twice
ELEMENTS_BYTES = 96 << 10
SLICE_BYTES = 256 << 10  # a larger chunk is taken in slices: fresh memory for large buffers costs more than copying
STEP_BYTES = 64 << 10  # documents are looked at again when this much has come, so that small chunks don't cost a look each
HEAD_BYTES = 512  # enough to see which kind of value begins
KEY_BYTES = 4096
EXCERPT_BYTES = 2000
GUESSES = 3  # of one run's end
FIRST_DISTRUST = 8  # records found one by one after wrong guesses; doubled each time
LONGEST_DISTRUST = 4096

ARRAYS = frozenset((b"Records", b"records", b"items", b"value", b"logEvents", b"Events"))
ENVELOPE = re.compile(
    rb'\{(?:\s*"(?:Records|records|items|value|logEvents|Events)"\s*:\s*\['
    rb'|\s*(?:"apiVersion"\s*:\s*"audit\.k8s\.io/[^"]{1,20}"\s*,\s*)?"kind"\s*:\s*"EventList"'
    rb"|[ \t]*\r?\n)"
)
ARRAY = re.compile(rb'\[\s*[\[{"\]]')
KEY = re.compile(rb'\s*+(?:,\s*+)?(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"\s*+:\s*+(?=\S)|(\}))', re.DOTALL)
LAST_END = re.compile(rb"\}(?=\s*\]\s*(?:\}\s*)?\Z)")
LAST_END_BYTES = 64
BOM = b"\xef\xbb\xbf"
CLOSING_BRACKET, CLOSING_BRACE = ord("]"), ord("}")


class Splitter:
    """One stream's bytes in, its records out. `decoder` is that of a list of the records expected; the reader sets it."""

    def __init__(self, *, number: int = 0, offset: int = 0) -> None:
        """`number`, `offset`: lines and bytes of the stream before the first chunk."""
        self.decoder: msgspec.json.Decoder[list[Any]] | None = None
        self._parts: list[bytes] = []
        self._waiting = 0  # bytes in parts
        self._buffer = b""
        self._base = offset  # offset of buffer[0] in the stream
        self._at = 0  # what stands before it is done with
        self._number = number  # last one given out
        self._state: Callable[[bool], Iterator[Split]] = self._begin
        self._after_skip: Callable[[bool], Iterator[Split]] = self._begin
        self._document_start = -1  # of a document whose bytes must be kept: it may be a record itself
        self._in_document = False
        self._scan: tuple[int, int] | None = None  # place and depth in a value whose end has not come yet
        self._separators = Separators()
        self._after_object = False
        self._distrust = 0  # records to find one by one before the next guess
        self._next_distrust = FIRST_DISTRUST
        self._pieces_until = 0  # offset up to which separators alone part the records: brackets there don't match

    def feed(self, chunk: bytes) -> Iterator[Split]:
        for start in range(0, len(chunk), SLICE_BYTES):
            if self._state == self._lines:
                yield from self._feed_lines(chunk, start)
                return
            self._parts.append(chunk[start : start + SLICE_BYTES])
            self._waiting += len(self._parts[-1])
            if self._is_enough(self._parts[-1]):
                yield from self._run(False)

    def _feed_lines(self, chunk: bytes, start: int) -> Iterator[Split]:
        """Cut lines from the chunk where it lies; only the line that it begins in the middle of is put together."""
        end = chunk.find(b"\n", start) + 1 or len(chunk)
        self._parts.append(chunk[start:end])
        self._waiting += end - start
        if self._is_enough(self._parts[-1]):
            yield from self._run(False)
            if end < len(chunk):
                self._base += self._at - end  # nothing is left in the buffer: it ended with a whole line
                self._buffer, self._at = chunk, end
                yield from self._run(False)

    def close(self) -> Iterator[Split]:
        yield from self._run(True)

    def _is_enough(self, chunk: bytes) -> bool:
        if self._state == self._lines:
            return b"\n" in chunk or len(self._buffer) - self._at + self._waiting > RECORD_BYTES
        return self._state == self._begin or self._waiting >= max(STEP_BYTES, len(self._buffer) // 4)

    def _run(self, final: bool) -> Iterator[Split]:  # noqa: FBT001 (one of two ways that every state is called)
        if self._parts:
            self._buffer = b"".join((self._buffer, *self._parts))
            self._parts.clear()
            self._waiting = 0
        before = None
        while before != (self._state, self._at):
            before = (self._state, self._at)
            yield from self._state(final)
        keep = self._at if self._document_start < 0 else self._document_start
        if keep:
            self._buffer = self._buffer[keep:]
            self._base += keep
            self._at -= keep
            self._document_start = -1 if self._document_start < 0 else 0
            self._scan = (self._scan[0] - keep, self._scan[1]) if self._scan else None

    # what begins here?

    def _begin(self, final: bool) -> Iterator[Split]:  # noqa: FBT001
        if self._base + self._at == 0 and self._buffer.startswith(BOM):
            self._at = len(BOM)
        space = SPACE.match(self._buffer, self._at)
        start = space.end() if space else self._at
        head = self._buffer[start : start + HEAD_BYTES]
        if len(head) < HEAD_BYTES and not final and b"\n" not in head and start - self._at < STEP_BYTES:
            return
        if ENVELOPE.match(head):
            self._document_start = start
            self._at = start + 1
            self._state = self._document
        elif ARRAY.match(head):
            self._at = start + 1
            self._in_document = False
            self._state = self._elements
        else:
            self._state = self._lines
        yield from ()

    def _lines(self, final: bool) -> Iterator[Split]:  # noqa: FBT001
        buffer, start = self._buffer, self._at
        first, ends = start, []
        find = buffer.find
        while (end := find(b"\n", start)) >= 0:
            ends.append(end)
            start = end + 1
            if start - first > LINES_BYTES:
                self._at = start
                yield from self._lines_up_to(first, ends)
                first, ends = start, []
        if final and start < len(buffer):
            ends.append(len(buffer))
            start = len(buffer)
        self._at = start
        if ends:
            yield from self._lines_up_to(first, ends)
        if len(buffer) - start > RECORD_BYTES:
            yield self._damage(start, "a line longer than 16 MiB")
            self._after_skip = self._lines
            self._state = self._skip_line

    def _lines_up_to(self, first: int, ends: list[int]) -> Iterator[Split]:
        last_start = ends[-2] + 1 if len(ends) > 1 else first
        too_long = ends[-1] - last_start > RECORD_BYTES  # only a run's last line can be: the run is cut behind it
        if too_long:
            ends.pop()
        if ends:
            yield Lines(self._buffer, first, ends, self._number + 1, self._base)
            self._number += len(ends)
        if too_long:
            yield self._damage(last_start, "a line longer than 16 MiB")

    def _damage(self, start: int, reason: str) -> Damage:
        self._number += 1
        return Damage(self._number, self._base + start, reason, self._buffer[start : start + EXCERPT_BYTES])

    def _skip_line(self, _final: bool) -> Iterator[Split]:  # noqa: FBT001
        end = self._buffer.find(b"\n", self._at)
        if end < 0:
            self._at = len(self._buffer)
        else:
            self._at = end + 1
            self._state = self._after_skip
        yield from ()

    # a document: an object that may hold an array of records

    def _document(self, final: bool) -> Iterator[Split]:  # noqa: FBT001
        key = KEY.match(self._buffer, self._at)
        if key is None:
            rest = len(self._buffer) - self._at
            if final or rest > KEY_BYTES:
                yield from self._give_up("a document cut off in its middle" if rest <= KEY_BYTES else "not a JSON document")
            return
        if key.group(2):
            yield from self._end_document(key.end())
            return
        start = key.end()
        if self._buffer[start] == ord("[") and key.group(1) in ARRAYS:
            self._document_start = -1
            self._in_document = True
            self._after_object = False
            self._at = start + 1
            self._state = self._elements
            return
        end = self._value_end(start, final=final)
        if end >= 0:
            self._at = end
        elif final:
            yield from self._give_up("a document cut off in its middle")
        elif len(self._buffer) - max(self._document_start, 0) > RECORD_BYTES:
            place, depth = self._scan or (start, 0)
            yield self._damage(max(self._document_start, 0), "a document longer than 16 MiB")
            self._skip_value(place, depth + 1, self._begin)

    def _end_document(self, end: int) -> Iterator[Split]:
        if self._document_start >= 0:
            self._number += 1
            yield Piece(self._number, self._base + self._document_start, self._buffer[self._document_start : end])
        self._document_start = -1
        self._at = end
        self._state = self._begin

    def _give_up(self, reason: str) -> Iterator[Split]:
        yield self._damage(self._at if self._document_start < 0 else self._document_start, reason)
        self._document_start = -1
        self._scan = None
        self._after_skip = self._begin
        self._state = self._skip_line

    def _value_end(self, start: int, *, final: bool) -> int:
        if self._buffer[start] not in OPENING:
            return value_end(self._buffer, start, final=final)
        place, depth = self._scan or (start, 0)
        end, place, depth = nested_end(self._buffer, place, depth)
        self._scan = None if end >= 0 else (place, depth)
        return end

    def _skip_value(self, place: int, depth: int, after: Callable[[bool], Iterator[Split]]) -> None:
        self._document_start = -1
        self._at = place
        self._scan = (place, depth)
        self._after_skip = after
        self._state = self._skip

    def _skip(self, final: bool) -> Iterator[Split]:  # noqa: FBT001
        place, depth = self._scan or (self._at, 1)
        end, place, depth = nested_end(self._buffer, place, depth)
        if end >= 0:
            self._scan = None
            self._at = end
            self._state = self._after_skip
        else:
            self._scan = (place, depth)
            self._at = place
            if final or len(self._buffer) - place > RECORD_BYTES:  # a string without end: nothing tells where it stops
                self._scan = None
                self._at = len(self._buffer)
                self._after_skip = self._begin
                self._state = self._skip_line
        yield from ()

    # the elements of an array

    def _elements(self, final: bool) -> Iterator[Split]:  # noqa: FBT001
        between = BETWEEN.match(self._buffer, self._at)
        start = between.end() if between else self._at
        if start == len(self._buffer):
            if final:
                yield self._damage(self._at, "an array cut off before its end")
            if final or start - self._at > SPACE_BYTES:
                self._at = start
                self._after_object = False
            return
        if self._buffer[start] == CLOSING_BRACKET:
            self._at = start + 1
            self._state = self._document if self._in_document else self._begin
            return
        if self._buffer[start] == CLOSING_BRACE:
            self._at = start
            yield from self._give_up("an array with a bracket too many")
            return
        if self._after_object:
            self._separators.learn(self._buffer, self._at, start)
        if self._base + start < self._pieces_until and (cut := self._separators.next(self._buffer, start)) >= 0:
            yield self._piece(start, cut + 1)
        elif self._distrust or self._scan:
            yield from self._one_element(start, final=final)
        elif run := self._guess(start):
            yield run
        elif final or self._distrust or not self._separators or len(self._buffer) - start >= ELEMENTS_BYTES:
            yield from self._one_element(start, final=final)
        else:  # the next bytes will bring an end to guess, at less cost than looking for it here
            self._at = start
            self._after_object = False

    def _piece(self, start: int, end: int) -> Piece:
        self._number += 1
        self._at = end
        self._scan = None
        self._after_object = self._buffer[end - 1] == CLOSING_BRACE
        return Piece(self._number, self._base + start, self._buffer[start:end])

    def _guess(self, start: int) -> Elements | None:
        """A run of elements from `start`, if its end can be guessed."""
        wrong = False
        for end in self._guesses(start):
            run = Elements(b"".join((b"[", memoryview(self._buffer)[start:end], b"]")), self._number + 1, self._base + start - 1)
            count = run.decode(self.decoder)
            if count:
                self._number += count
                self._at = end
                self._after_object = True
                self._next_distrust = FIRST_DISTRUST
                return run
            wrong = True
        if wrong:
            self._distrust = self._next_distrust
            self._next_distrust = min(self._next_distrust * 2, LONGEST_DISTRUST)
        return None

    def _guesses(self, start: int) -> Iterator[int]:
        """Where a run from `start` may end, the likeliest first: elements of inner arrays can look like records."""
        stop = min(start + ELEMENTS_BYTES, len(self._buffer))
        if stop == len(self._buffer):
            last = LAST_END.search(self._buffer, max(start, stop - LAST_END_BYTES))
            if last:
                yield last.start() + 1
        for _ in range(GUESSES):
            stop = self._separators.last(self._buffer, start, stop)
            if stop < 0:
                return
            yield stop + 1

    def _one_element(self, start: int, *, final: bool) -> Iterator[Split]:
        end = self._value_end(start, final=final)
        too_long = (end if end >= 0 else len(self._buffer)) - start > RECORD_BYTES
        if end >= 0 and not too_long:
            self._distrust = max(self._distrust - 1, 0)
            yield self._piece(start, end)
            return
        if not final and not too_long:
            self._at = start
            self._after_object = False
            return
        yield self._damage(start, "a record longer than 16 MiB" if too_long else "a record cut off in its middle")
        self._after_object = False
        if end >= 0:
            self._at = end
        elif (cut := self._separators.next(self._buffer, start)) >= 0:
            self._at = cut + 1
            self._scan = None
            self._pieces_until = self._base + len(self._buffer)
        else:
            place, depth = self._scan or (start, 1)
            self._skip_value(place, depth, self._elements)
