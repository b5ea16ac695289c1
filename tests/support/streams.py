"""Reads whole streams in tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.logs.stream import StreamReader

if TYPE_CHECKING:
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.logs.provider import Reads


def json_lines(*records: Any) -> bytes:
    """Records as JSON lines; texts and bytes are lines as they are."""
    return b"".join((one if isinstance(one, bytes) else one.encode() if isinstance(one, str) else json.dumps(one).encode()) + b"\n" for one in records)


def events_of(content: bytes, *, source: str | None = None, reads: Reads = None, chunk: int = 1 << 20) -> list[Event]:
    """All events of a stream fed in chunks of this size."""
    reader = StreamReader("log", source=source, reads=reads)
    found = [event for start in range(0, len(content), chunk) for event in reader.feed(content[start : start + chunk])]
    return [*found, *reader.close()]


def reasons(events: list[Event]) -> list[tuple[int, str]]:
    """Number and reason of each rejected record."""
    return [(event.number, event.log.reason) for event in events if event.kind == "log.rejected"]
