"""What a provider's reader is: it recognises its own records and makes events of them.

A reader is pure: decoded records in, events out. Bytes, lines, arrays and envelopes are `stream.py`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from watchkeeper_detection.event import Event
from watchkeeper_detection.record_types import record_type
from watchkeeper_detection.subject import About

Reads = Mapping[str, frozenset[str]] | None
"""Root → vocabulary paths that somebody reads; None: everything. A root that is not named is not read at all."""

Fill = Callable[[Event], Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS_END = 26  # of 2026-03-12T02:46:00.123456
YEAR_9999_NS = 253_402_300_800 * 10**9  # what RFC 3339 can write ends here


class RecordPlace(NamedTuple):
    """Where a record stands: stream (file), 1-based line or record number, byte offset of the record (-1: none)."""

    stream: str
    number: int
    offset: int


class RunEvent(Event):
    """An event that came in a run of records: its offset is looked up when somebody asks (`fills` has `offset: offset_in_run`)."""

    run: Any

    new = staticmethod(object.__new__)  # half the time of a constructor written in Python


def offset_in_run(event: Event) -> int:
    offset: int = event.run.offset_of(event.number)
    return offset


class TypedPath:
    """Decodes a hot format's records straight into the object of its root.

    record  struct of what is read
    events  makes events of such objects, given their stream, the first one's number and the run that they came in (which
            knows their offsets); None for an object that lacks what tells this provider's records from others: there
            the general path decides
    """

    __slots__ = ("events", "list_decoder", "record_decoder")

    def __init__(self, record: type[msgspec.Struct], events: Callable[[list[Any], str, int, Any], list[Event | None]]) -> None:
        self.events = events
        self.record_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(record)
        self.list_decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[record])  # type: ignore[valid-type]


class RecordRejected(Exception):  # noqa: N818 (a record is rejected; nothing is wrong with us)
    """A record that its reader can't take; the reason is for users."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RecordSkipped(Exception):  # noqa: N818
    """A well-formed record that is no event of its own (a digest, a probe, the second stage of one request)."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """Lines that are not JSON.

    recognise  whether a stream's first line (a header or a record) is of this format
    reader     makes one function per stream, which may keep a header; it gives None for a line that is no event (a
               header, no data) and raises RecordRejected
    """

    recognise: Callable[[str], bool]
    reader: Callable[[Reads], Callable[[str, RecordPlace], Event | None]]


@dataclass(frozen=True, slots=True)
class Provider:
    """Reader of one log type.

    source     name that users give and see (`--source`); `aliases` are accepted too
    recognise  whether a decoded record is this provider's, certain enough to tell it from all others
    events     the general path: raises RecordRejected or RecordSkipped; never changes the record
    fast       the typed path of hot formats, for what is read
    repeats    makes one function per stream that says whether an event only repeats a request that was already judged
    text       reader of lines that are not JSON
    parquet    reader of a whole Parquet file; events carry record numbers
    """

    source: str
    aliases: tuple[str, ...]
    recognise: Callable[[dict[str, Any]], bool]
    events: Callable[[dict[str, Any], RecordPlace, Reads], Iterable[Event]]
    fast: Callable[[Reads], TypedPath] | None = None
    repeats: Callable[[], Callable[[Event], bool]] | None = None
    text: TextFormat | None = None
    parquet: Callable[[bytes, str, Reads], Iterable[Event]] | None = None


def common_fills(
    *, observed_at: Fill, identity: Fill, actor: Fill, action: Fill, target: Fill, outcome: Fill, origin: Fill, derived: Mapping[str, Fill] | None = None
) -> dict[str, Fill]:
    """Fills of one kind of event: the given ones, and `id` and `event` that are made alike everywhere.

    observed_at gives nanoseconds since the epoch, 0 where the record has no time; the others give objects of `subject.py`.
    """
    return {
        "id": event_id,
        "event": _event_root,
        "about": about,
        "observed_at": observed_at,
        "identity": identity,
        "actor": actor,
        "action": action,
        "target": target,
        "outcome": outcome,
        "origin": origin,
        **(derived or {}),
    }


def about(event: Event) -> About:
    """What a detection names. A hot format gives its own that makes no objects."""
    return About(event.actor.id, event.identity.id, event.target.id, event.origin.ip)


def event_id(event: Event) -> str:
    """Unique id made by us; providers' ids repeat."""
    return f"{event.source}:{event.stream}:{event.number}"


def _event_root(event: Event) -> Any:
    return record_type("event")(kind=event.kind, source=event.source, observed_at=time_text(event.observed_at))


def time_ns(text: str | None) -> int:
    """Nanoseconds since the epoch of an RFC 3339 text (ISO 8601 is taken too, UTC where no zone is named); 0 when it is no time."""
    if not text:
        return 0
    try:
        since = _parsed(text) - EPOCH
    except (ValueError, OverflowError):
        return 0
    beyond = 0
    if len(text) > MICROSECONDS_END and text[19] == "." and text[MICROSECONDS_END].isdecimal():  # datetime stops at microseconds
        digits = text[MICROSECONDS_END : MICROSECONDS_END + 3]
        beyond = int("".join(digit for digit in digits if digit.isdecimal()).ljust(3, "0"))
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + beyond


def _parsed(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def time_text(ns: int) -> str | None:
    """RFC 3339 text in UTC of nanoseconds since the epoch; None for 0, which means no time."""
    if not 0 < ns < YEAR_9999_NS:
        return None
    seconds, fraction = divmod(ns, 10**9)
    digits = f".{fraction:09}".rstrip("0") if fraction else ""
    return (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S") + digits + "Z"
