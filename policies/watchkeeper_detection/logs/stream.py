"""One stream's bytes → its events, in constant memory.

The provider of each record is recognised by its content. Once one is known, its typed path is tried first, on whole runs of
records; what that refuses, or what lacks the provider's marks, takes the general path. A record that nobody can read is an
event, `log.rejected`; it never stops a run.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from watchkeeper_detection.json_text import NotJson, decode_json
from watchkeeper_detection.logs import PROVIDERS
from watchkeeper_detection.logs.envelopes import contents
from watchkeeper_detection.logs.json_scan import values_of
from watchkeeper_detection.logs.pieces import Damage, Elements, Lines, Piece
from watchkeeper_detection.logs.provider import Provider, Reads, RecordPlace, RecordRejected, RecordSkipped, TypedPath, event_id
from watchkeeper_detection.logs.rejected import rejected
from watchkeeper_detection.logs.splitter import Splitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from watchkeeper_detection.event import Event
    from watchkeeper_detection.logs.pieces import Split

PARQUET = b"PAR1"
PARQUET_BYTES = 1 << 30  # a Parquet file is read as a whole: its index stands at its end
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
NESTED_ENVELOPES = 8
REST_RUNS = 16  # runs that take the general path after one whose records the typed path did not know
TIMED_LINE = re.compile(rb"\S{10,40}\s+(?=\{)")  # CloudWatch's export puts a time before each message
UNKNOWN = "not a record of any log that is known"


def provider_named(source: str) -> Provider:
    """The provider that a user means by `source`; raises ValueError."""
    for provider in PROVIDERS:
        if source == provider.source or source in provider.aliases:
            return provider
    raise ValueError(f"no log type is called {source!r}; there are {', '.join(provider.source for provider in PROVIDERS)}")


class Typed(NamedTuple):
    """A provider's typed path, open for one stream."""

    provider: Provider
    path: TypedPath
    repeats: Callable[[Event], bool]


def _never(_event: Event) -> bool:
    return False


class StreamReader:
    """Reader of one stream: `feed` it chunks of bytes of any size, then `close` it.

    stream  name of the file or object, as events give it
    source  log type, where the user said so: records that nobody recognises are tried as that
    reads   what the rules read; None: everything
    """

    def __init__(self, stream: str, *, source: str | None, reads: Reads) -> None:
        self._stream = stream
        self._reads = reads
        self._given = provider_named(source) if source is not None else None
        self._current = self._given
        self._typed: Typed | None = None
        self._opened: dict[str, Typed] = {}
        self._repeats: dict[str, Callable[[Event], bool]] = {}
        self._texts: dict[str, Callable[[str, RecordPlace], Event | None]] = {}
        self._text: Callable[[str, RecordPlace], Event | None] | None = None
        self._rest = 0  # runs left that take the general path at once
        self._splitter = Splitter()
        self._head: bytes | None = b""
        self._parquet: list[bytes] | None = None
        self._parquet_bytes = 0
        self._transcoder: codecs.IncrementalDecoder | None = None
        if self._given is not None:
            self._expect(self._given)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        if self._head is not None:
            self._head += chunk
            if len(self._head) < len(PARQUET):
                return
            chunk = self._begin(self._head)
        yield from self._take(chunk, final=False)

    def close(self) -> Iterator[Event]:
        """What was still waiting: the last line need not end in a newline."""
        yield from self._take(self._begin(self._head) if self._head is not None else b"", final=True)

    def _begin(self, head: bytes) -> bytes:
        self._head = None
        if head.startswith(PARQUET):
            self._parquet = []
        elif head.startswith(UTF_16):
            self._transcoder = codecs.getincrementaldecoder("utf-16")("replace")
        return head

    def _take(self, chunk: bytes, *, final: bool) -> Iterator[Event]:
        if self._parquet is not None:
            self._parquet_bytes += len(chunk)
            self._parquet = [*self._parquet, chunk] if self._parquet_bytes <= PARQUET_BYTES else []
            if final:
                yield from self._parquet_events(b"".join(self._parquet))
            return
        if self._transcoder is not None:
            chunk = self._transcoder.decode(chunk, final).encode()
        yield from self._events(self._splitter.feed(chunk))
        if final:
            yield from self._events(self._splitter.close())

    def _parquet_events(self, content: bytes) -> Iterator[Event]:
        place = RecordPlace(self._stream, 1, 0)
        if not content:
            yield self._rejected(place, f"a Parquet file of more than {PARQUET_BYTES} bytes", PARQUET)
        for provider in PROVIDERS if content else ():
            if provider.parquet is not None:
                try:
                    yield from provider.parquet(content, self._stream, self._reads)
                except RecordRejected as fault:
                    yield self._rejected(place, fault.reason, PARQUET)
                return

    def _events(self, splits: Iterable[Split]) -> Iterator[Event]:
        for split in splits:
            if isinstance(split, Lines | Elements):
                yield from self._run(split)
            elif isinstance(split, Damage):
                yield self._rejected(RecordPlace(self._stream, split.number, split.offset), split.reason, split.excerpt)
            else:
                yield from self._record(split)

    def _rejected(self, place: RecordPlace, reason: str, content: bytes) -> Event:
        return rejected(place, self._current.source if self._current else None, reason, content)

    # the typed path

    def _run(self, run: Lines | Elements) -> Iterator[Event]:
        """Events of a run of records."""
        typed = self._typed
        records = self._decoded(run, typed) if typed is not None else None
        if typed is None or records is None:
            for piece in run.pieces():
                yield from self._record(piece)
            return
        make, repeats = typed.path.event, typed.repeats
        stream, number, unknown = self._stream, run.number, 0
        for record in records:
            event = make(record, stream, number, run)
            if event is None:
                unknown += 1
                yield from self._general(run.piece(number))
            elif not repeats(event):
                yield event
            number += 1
        if unknown * 2 > len(records):
            self._rest = REST_RUNS

    def _decoded(self, run: Lines | Elements, typed: Typed) -> list[Any] | None:
        """The run's records as typed objects; None when one of them is not fit for it, or those of the last runs were not."""
        if self._rest:
            self._rest -= 1
            return None
        if isinstance(run, Elements):
            return run.records if run.decoder is typed.path.list_decoder else None
        try:
            records = typed.path.record_decoder.decode_lines(run.content)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return records if len(records) == len(run.ends) else None

    def _expect(self, provider: Provider) -> None:
        """Further records will be this provider's."""
        self._current = provider
        if provider.fast is None or (self._typed is not None and self._typed.provider is provider):
            return
        typed = self._opened.get(provider.source)
        if typed is None:
            typed = self._opened[provider.source] = Typed(provider, provider.fast(self._reads), self._repeats_of(provider))
        self._typed = typed
        self._splitter.decoder = typed.path.list_decoder

    def _repeats_of(self, provider: Provider) -> Callable[[Event], bool]:
        if provider.source not in self._repeats:
            self._repeats[provider.source] = provider.repeats() if provider.repeats is not None else _never
        return self._repeats[provider.source]

    # one record

    def _record(self, piece: Piece) -> Iterator[Event]:
        """Events of one line or element."""
        first = piece.content[:1]
        if first not in (b"{", b"["):
            stripped = piece.content.lstrip()
            first = stripped[:1]
            piece = piece._replace(content=stripped, offset=piece.offset + len(piece.content) - len(stripped))
        if first == b"{":
            event = self._typed_event(piece) if self._typed is not None and not self._rest else None
            if event is None:
                yield from self._general(piece)
            elif self._typed is not None and not self._typed.repeats(event):
                yield event
        elif first == b"[":
            yield from self._general(piece)
        elif first:
            yield from self._text_line(piece, 0)

    def _typed_event(self, piece: Piece) -> Event | None:
        path = self._typed.path if self._typed is not None else None
        if path is None:
            return None
        try:
            record = path.record_decoder.decode(piece.content)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return path.event(record, self._stream, piece.number, piece)

    # the general path

    def _general(self, piece: Piece) -> Iterator[Event]:
        try:
            values = [decode_json(piece.content)]
        except NotJson as fault:
            parts = values_of(piece.content)  # Firehose writes objects with nothing between them
            if len(parts) < 2:
                yield self._rejected(self._place(piece), str(fault), piece.content)
                return
            for part in parts:
                yield from self._general(piece._replace(content=part))
            return
        yield from self._numbered(self._value(values[0], piece, 0))

    def _place(self, piece: Piece) -> RecordPlace:
        return RecordPlace(self._stream, piece.number, piece.offset)

    def _numbered(self, events: Iterable[Event]) -> Iterator[Event]:
        """Events of one line; the second and later ones get ids of their own."""
        for index, event in enumerate(events):
            if index:
                event.id = f"{event_id(event)}.{index}"
            yield event

    def _value(self, value: Any, piece: Piece, depth: int) -> Iterator[Event]:
        provider = self._recognised(value) if isinstance(value, dict) else None
        if provider is None:
            inside = contents(value) if depth < NESTED_ENVELOPES else None
            if inside is not None:
                for one in inside:
                    yield from self._value(one, piece, depth + 1)
                return
            if isinstance(value, str) and depth:
                yield from self._text_line(piece._replace(content=value.encode("utf-8", "replace").strip()), depth)
                return
            provider = self._given
        if provider is None or not isinstance(value, dict):
            yield self._rejected(self._place(piece), UNKNOWN, piece.content)
            return
        repeats = self._repeats_of(provider)
        try:
            for event in provider.events(value, self._place(piece), self._reads):
                if not repeats(event):
                    yield event
        except RecordRejected as fault:
            yield self._rejected(self._place(piece), fault.reason, piece.content)
        except RecordSkipped:
            return

    def _recognised(self, record: dict[str, Any]) -> Provider | None:
        if self._current is not None and self._current.recognise(record):
            return self._current
        for provider in PROVIDERS:
            if provider.recognise(record):
                self._expect(provider)
                return provider
        return None

    # text

    def _text_line(self, piece: Piece, depth: int) -> Iterator[Event]:
        """Events of a line that does not begin as JSON does, or of a message in an envelope."""
        if not piece.content:
            return
        timed = TIMED_LINE.match(piece.content)
        if timed or piece.content[:1] in (b"{", b"["):
            try:
                value = decode_json(piece.content[timed.end() :] if timed else piece.content)
            except NotJson as fault:
                yield self._rejected(self._place(piece), str(fault), piece.content)
            else:
                yield from self._value(value, piece, depth + 1)
            return
        try:
            text = piece.content.decode("utf-8").rstrip()
        except UnicodeDecodeError as fault:
            yield self._rejected(self._place(piece), f"not UTF-8 at its byte {fault.start}", piece.content)
            return
        reader = self._text_reader(text)
        if reader is None:
            yield self._rejected(self._place(piece), "neither JSON nor a line of any log that is known", piece.content)
            return
        try:
            event = reader(text, self._place(piece))
        except RecordRejected as fault:
            yield self._rejected(self._place(piece), fault.reason, piece.content)
        else:
            if event is not None:
                yield event

    def _text_reader(self, text: str) -> Callable[[str, RecordPlace], Event | None] | None:
        """Reader of text lines, opened at the first line that a provider recognises."""
        if self._text is None:
            for provider in PROVIDERS:
                if provider.text is not None and (provider is self._given or provider.text.recognise(text)):
                    self._current = provider
                    self._text = provider.text.reader(self._reads)
                    break
        return self._text
