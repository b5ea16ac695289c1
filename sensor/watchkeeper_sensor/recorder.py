"""The event behind a detection, kept with it: what a person or a later tool wants to see of the act besides the message."""

from __future__ import annotations

import json
import time
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.logs.recorded import as_record

if TYPE_CHECKING:
    from watchkeeper_detection.event import Event

A_SECOND = 100  # events that are written down in a second: each costs 0.3 ms, and a storm of detections must not stop the sensor
EVENTS = 1000  # whose matches wait for others, and that may still be asked for
LEVEL = 1  # of compression: 4.7 KB become 1.6


class Recorder:
    """Writes events down as a recording holds them, deflated; the last one once, whichever rules found it."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Event] = OrderedDict()
        self._second = 0
        self._written = 0
        self._last: tuple[str, bytes] = ("", b"")

    def hold(self, event: Event) -> None:
        """It matched, and may become part of a detection later."""
        self._waiting[event.id] = event
        if len(self._waiting) > EVENTS:
            self._waiting.popitem(last=False)

    def held(self, event_id: str) -> bytes | None:
        """The event of this id, written down; None where it is no more held, or too many are asked for."""
        event = self._waiting.get(event_id)
        return None if event is None else self.written(event)

    def written(self, event: Event) -> bytes | None:
        """None where more than A_SECOND were written in this second."""
        if event.id == self._last[0]:
            return self._last[1]
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._written = second, 0
        if self._written >= A_SECOND:
            return None
        self._written += 1
        text = json.dumps(msgspec.to_builtins(as_record(event)), separators=(",", ":"))  # ASCII: any bytes that the host has
        self._last = (event.id, zlib.compress(text.encode(), LEVEL))
        return self._last[1]
