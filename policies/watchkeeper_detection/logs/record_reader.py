"""Whole records of one stream → events.

The provider of each record is recognised by its content. Once one is known, its typed path is tried first, on whole runs of
records; what that refuses, or what lacks the provider's marks, takes the general path. A record that nobody can read is an
event, `log.rejected`; it never stops a run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from watchkeeper_detection.json_text import NotJson, decode_json
from watchkeeper_detection.logs.envelopes import contents
from watchkeeper_detection.logs.json_scan import values_of
from watchkeeper_detection.logs.pieces import Elements, Lines, Piece, Split
from watchkeeper_detection.logs.provider import Provider, Reads, RecordPlace, RecordRejected, RecordSkipped, TypedPath, event_id
from watchkeeper_detection.logs.providers import PROVIDERS
from watchkeeper_detection.logs.rejected import rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from watchkeeper_detection.event import Event

NESTED_ENVELOPES = 8
REST_RUNS = 16  # runs that take the general path after ones whose records the typed path did not know, at most
TIMED_LINE = re.compile(rb"\S{10,40}\s+(?:std(?:out|err) F )?(?=\{)")  # CloudWatch's export puts a time before each message, containerd a stream too
JSON_BEGINS = (b"{", b"[")
UNKNOWN = "not a record of any log that is known"


class Typed(NamedTuple):
    """A provider's typed path, open for one stream."""

    provider: Provider
    path: TypedPath
    repeats: Callable[[Event], bool] | None


class RecordReader:
    """Reader of one stream's records; `expect` is told which list decoder will probably fit them."""

    def __init__(self, stream: str, given: Provider | None, reads: Reads, expect: Callable[[msgspec.json.Decoder[list[Any]]], None]) -> None:
        self._stream = stream
        self._reads = reads
        self._given = given
        self._tell = expect
        self._current = given
        self._typed: Typed | None = None
        self._opened: dict[str, Typed] = {}
        self._repeats: dict[str, Callable[[Event], bool] | None] = {}
        self._text: Callable[[str, RecordPlace], Event | None] | None = None
        self._rest = 0  # runs left that take the general path at once
        self._next_rest = 1
        if given is not None:
            self._expect(given)

    def events(self, split: Split) -> list[Event]:
        """Events of what the splitter cut off."""
        if isinstance(split, Lines | Elements):
            return self._run(split)
        if isinstance(split, Piece):
            return list(self._record(split))
        return [self.rejected(RecordPlace(self._stream, split.number, split.offset), split.reason, split.excerpt)]

    def rejected(self, place: RecordPlace, reason: str, content: bytes) -> Event:
        return rejected(place, self._current.source if self._current else None, reason, content)

    # the typed path

    def _run(self, run: Lines | Elements) -> list[Event]:
        """Events of a run of records."""
        if self._text is not None and isinstance(run, Lines) and run.buffer[run.start : run.start + 1].isdigit():
            return self._text_run(run, self._text)
        typed = self._typed
        records = self._decoded(run, typed) if typed is not None else None
        if typed is None or records is None:
            return [event for piece in run.pieces() for event in self._record(piece)]
        made = typed.path.events(records, self._stream, run.number, run)
        unknown = made.count(None)
        self._next_rest = min(self._next_rest * 2, REST_RUNS) if unknown * 2 > len(records) else 1
        self._rest = self._next_rest - 1
        repeats = typed.repeats
        if not unknown:
            whole: list[Event] = made  # type: ignore[assignment]  # none of them is None
            return whole if repeats is None else [event for event in whole if not repeats(event)]
        found: list[Event] = []
        for number, event in enumerate(made, run.number):
            if event is None:
                found += self._numbered(self._general(run.piece(number)))
            elif repeats is None or not repeats(event):
                found.append(event)
        return found

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
        self._tell(typed.path.list_decoder)

    def _repeats_of(self, provider: Provider) -> Callable[[Event], bool] | None:
        if provider.source not in self._repeats:
            self._repeats[provider.source] = provider.repeats() if provider.repeats is not None else None
        return self._repeats[provider.source]

    # one record

    def _record(self, piece: Piece) -> Iterator[Event]:
        """Events of one line or element."""
        return self._numbered(self._events_of(piece))

    def _numbered(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events of one line; the second and later ones get ids of their own."""
        for index, event in enumerate(events):
            if index:
                event.id = f"{event_id(event)}.{index}"
            yield event

    def _events_of(self, piece: Piece) -> Iterator[Event]:
        if piece.content[:1] not in JSON_BEGINS:
            content = piece.content.lstrip()
            timed = TIMED_LINE.match(content)
            piece = piece._replace(content=content[timed.end() :] if timed else content)
        first = piece.content[:1]
        if first in JSON_BEGINS:
            typed = self._typed
            event = self._typed_event(piece, typed.path) if typed is not None and not self._rest else None
            if event is None or typed is None:
                yield from self._general(piece)
            elif typed.repeats is None or not typed.repeats(event):
                yield event
        elif first:
            yield from self._text_line(piece)

    def _typed_event(self, piece: Piece, path: TypedPath) -> Event | None:
        try:
            record = path.record_decoder.decode(piece.content)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return None
        return path.events([record], self._stream, piece.number, piece)[0]

    # the general path

    def _place(self, piece: Piece) -> RecordPlace:
        return RecordPlace(self._stream, piece.number, piece.offset)

    def _general(self, piece: Piece) -> Iterator[Event]:
        try:
            value = decode_json(piece.content)
        except NotJson as fault:
            parts = values_of(piece.content)  # Firehose writes objects with nothing between them
            if len(parts) < 2:
                yield self.rejected(self._place(piece), str(fault), piece.content)
            else:
                for part in parts:
                    yield from self._general(piece._replace(content=part))
        else:
            yield from self._value(value, piece, 0)

    def _value(self, value: Any, piece: Piece, depth: int) -> Iterator[Event]:
        """Events of a decoded value, `depth` envelopes deep."""
        provider = self._recognised(value) if isinstance(value, dict) else None
        if provider is None:
            inside = contents(value) if depth < NESTED_ENVELOPES else None
            if inside is not None:
                for one in inside:
                    yield from self._value(one, piece, depth + 1)
                return
            if isinstance(value, str) and depth:
                yield from self._message(value.strip(), piece, depth)
                return
            provider = self._given
        if provider is None or not isinstance(value, dict):
            yield self.rejected(self._place(piece), UNKNOWN, piece.content)
        else:
            yield from self._provided(provider, value, piece)

    def _provided(self, provider: Provider, record: dict[str, Any], piece: Piece) -> Iterator[Event]:
        repeats = self._repeats_of(provider)
        try:
            for event in provider.events(record, self._place(piece), self._reads):
                if repeats is None or not repeats(event):
                    yield event
        except RecordRejected as fault:
            yield self.rejected(self._place(piece), fault.reason, piece.content)
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

    def _message(self, text: str, piece: Piece, depth: int) -> Iterator[Event]:
        """Events of a text in an envelope: JSON, or a line of some log."""
        piece = piece._replace(content=text.encode("utf-8", "replace"))
        if piece.content[:1] not in JSON_BEGINS:
            yield from self._text_line(piece)
            return
        typed = self._typed
        event = self._typed_event(piece, typed.path) if typed is not None else None
        if event is not None and typed is not None:
            if typed.repeats is None or not typed.repeats(event):
                yield event
            return
        try:
            value = decode_json(piece.content)
        except NotJson as fault:
            yield self.rejected(self._place(piece), str(fault), piece.content)
        else:
            yield from self._value(value, piece, depth + 1)

    def _text_line(self, piece: Piece) -> Iterator[Event]:
        place = self._place(piece)
        try:
            text = piece.content.decode("utf-8").rstrip()
        except UnicodeDecodeError as fault:
            yield self.rejected(place, f"not UTF-8 at its byte {fault.start}", piece.content)
            return
        reader = self._text_reader(text)
        if reader is None:
            yield self.rejected(place, "neither JSON nor a line of any log that is known", piece.content)
            return
        try:
            event = reader(text, place)
        except RecordRejected as fault:
            yield self.rejected(place, fault.reason, piece.content)
        else:
            if event is not None:
                yield event

    def _text_run(self, run: Lines, reader: Callable[[str, RecordPlace], Event | None]) -> list[Event]:
        """Events of a run that begins like a text line; what is none is read as any other record."""
        found: list[Event] = []
        start, number = run.start, run.number
        for end in run.ends:
            try:
                event = reader(run.buffer[start:end].decode("ascii"), RecordPlace(self._stream, number, run.base + start))
            except (RecordRejected, UnicodeDecodeError):
                found += self._record(run.piece(number))
            else:
                if event is not None:
                    found.append(event)
            start = end + 1
            number += 1
        return found

    def _text_reader(self, text: str) -> Callable[[str, RecordPlace], Event | None] | None:
        """Reader of text lines, opened at the first line that a provider recognises."""
        if self._text is None:
            for provider in PROVIDERS:
                if provider.text is not None and (provider is self._given or provider.text.recognise(text)):
                    self._current = provider
                    self._text = provider.text.reader(self._reads)
                    break
        return self._text
