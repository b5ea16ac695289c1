"""Audit events that never came: what the API server says of itself, silence, and what we could not keep. Pure; time is passed in."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from watchkeeper_detection.wire import Blind

ERRORS = "apiserver_audit_error_total"
STARTED = "process_start_time_seconds"
SAMPLE = re.compile(rb"(?m)^(apiserver_audit_error_total|process_start_time_seconds)(?:\{([^}\n]*)\})? ([0-9.eE+-]+)$")
PLUGIN = re.compile(rb'plugin="([a-z]{1,40})"')
KEPT = 10
SERVERS = 32  # API servers that are told apart


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which events are missing; nanoseconds since the epoch, `until` 0 while it goes on; `records` 0: nobody knows how many."""

    since: int
    until: int
    reason: str
    records: int = 0


class Dropped(msgspec.Struct, frozen=True):
    """What one API server says that it could not deliver, since its start."""

    started: float
    errors: int


def dropped(metrics: bytes, plugin: str) -> Dropped | None:
    """From an API server's `/metrics`; `plugin`: `webhook` or `log`. None where it names no start: then nothing can be compared."""
    started: float | None = None
    errors = 0.0
    for name, labels, value in SAMPLE.findall(metrics):
        number = _number(value)
        if number is None:
            continue
        if name == STARTED.encode():
            started = number
        elif (found := PLUGIN.search(labels)) is not None and found[1].decode() == plugin:
            errors += number
    return None if started is None else Dropped(started, int(errors))


def _number(text: bytes) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 2**53 else None


class Gaps:
    """Gaps of one source. `silent_after`: without an event for so many nanoseconds a gap begins."""

    def __init__(self, *, silent_after: int) -> None:
        self.count = 0
        self.silence: Gap | None = None
        self.silent_after = silent_after
        self._kept: deque[Gap] = deque(maxlen=KEPT)
        self._servers: dict[float, tuple[int, int]] = {}  # start → errors, and when they were read

    @property
    def newest(self) -> list[Gap]:
        """The newest first; one that goes on before all."""
        return ([self.silence] if self.silence else []) + [*self._kept][::-1]

    def take_metrics(self, said: Dropped, now: int) -> Gap | None:
        """An API server is known by its start: one that began anew counts from nothing, another of several from its own last word."""
        before = self._servers.pop(said.started, None)
        if len(self._servers) >= SERVERS:
            del self._servers[next(iter(self._servers))]
        self._servers[said.started] = (said.errors, now)
        errors, since = before or (0, min(now, int(said.started * 1e9)))
        more = said.errors - errors
        if more <= 0:
            return None
        return self._add(Gap(since=since, until=now, reason=f"the API server could not deliver {more} {'event' if more == 1 else 'events'}", records=more))

    def take_loss(self, blind: Blind) -> Gap:
        """What the collector received and could not keep, or could not see."""
        records = sum(blind.records.values()) + sum(blind.entries.values())
        return self._add(Gap(since=blind.since, until=blind.until, reason=f"{blind.cause}: {records} lost", records=records))

    def look(self, newest: int, now: int) -> Gap | None:
        """`newest`: when the newest event was logged. The gap that began or ended by it."""
        silent = now - newest > self.silent_after
        if silent and self.silence is None:
            self.silence = Gap(since=newest, until=0, reason="no events")
            self.count += 1
            return self.silence
        if not silent and self.silence is not None:
            ended, self.silence = msgspec.structs.replace(self.silence, until=now), None
            self._kept.append(ended)
            return ended
        return None

    def _add(self, gap: Gap) -> Gap:
        self.count += 1
        self._kept.append(gap)
        return gap
