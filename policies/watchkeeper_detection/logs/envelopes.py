"""What logs travel in: the records inside the envelopes of delivery services.

Lists under `Records`, `records`, `items`, `value`, `Events`; EventBridge's `detail`; CloudWatch's `logEvents`, whose messages
are text, JSON or not; rows of Logs Insights; what Docker, Fluent Bit and Filebeat put around a line of a file. An envelope may hold
envelopes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

LISTS = ("Records", "records", "items", "value", "Events", "logEvents")
LOG_EVENT = frozenset(("id", "timestamp", "message", "extractedFields", "ingestionTime", "eventId", "logStreamName"))

MESSAGES = ("@message", "message", "log")


def contents(value: Any) -> Iterator[Any] | None:
    """What `value` is an envelope of: objects, or texts that are lines of their own; None when it is no envelope."""
    if isinstance(value, list):
        return iter(value) if all(isinstance(one, dict) for one in value) else None
    if not isinstance(value, dict):
        return None
    if value.get("messageType") == "CONTROL_MESSAGE":  # CloudWatch asks whether somebody listens
        return iter(())
    if "detail-type" in value and isinstance(value.get("detail"), dict):
        return iter((value["detail"],))
    for name in LISTS:
        inside = value.get(name)
        if isinstance(inside, list) and all(isinstance(one, dict) for one in inside):
            return iter(inside)
    if isinstance(value.get("message"), str) and LOG_EVENT.issuperset(value):
        return iter((value["message"],))
    message = _message(value)
    return None if message is None else iter((message,))


def _message(value: dict[str, Any]) -> Any:
    """The line that a shipper or a query's row holds: an object or the JSON text of one; Logs Insights' may be any line."""
    name = next((name for name in MESSAGES if value.get(name) is not None), None)
    message = value[name] if name is not None else None
    if isinstance(message, dict):
        return message
    return message if isinstance(message, str) and (name == "@message" or message.lstrip()[:1] == "{") else None
