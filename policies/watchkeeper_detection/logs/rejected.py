"""A record that nobody can read is itself an event: making a line unparsable is an evasion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection import subject
from watchkeeper_detection.event import Event
from watchkeeper_detection.logs.provider import common_fills
from watchkeeper_detection.record_types import record_type
from watchkeeper_detection.redact import redact

if TYPE_CHECKING:
    from watchkeeper_detection.logs.provider import RecordPlace

KIND = "log.rejected"
UNKNOWN_SOURCE = "unknown"
EXCERPT_CHARACTERS = 200
EXCERPT_BYTES = 2000  # redacted before it is cut: a cut secret has no form any more

_Log = record_type("log")

FILLS = common_fills(
    observed_at=lambda _event: 0,
    identity=lambda _event: subject.identity(None),
    actor=lambda _event: subject.actor(None),
    action=lambda _event: subject.action("rejected"),
    target=lambda event: subject.target(type="log", name=event.stream, id=f"{event.stream}:{event.number}"),
    outcome=lambda _event: subject.outcome("unknown"),
    origin=lambda _event: subject.origin(None),
)


def rejected(place: RecordPlace, source: str | None, reason: str, content: bytes) -> Event:
    """The event of a record that could not be read: where, why, and how it begins."""
    event = Event(KIND, source or UNKNOWN_SOURCE, place.stream, place.number, place.offset, FILLS)
    excerpt = redact(content[:EXCERPT_BYTES].decode("utf-8", "replace"))[:EXCERPT_CHARACTERS]
    event.__dict__["log"] = _Log(source=source, stream=place.stream, reason=reason, excerpt=excerpt, count=1)
    return event
