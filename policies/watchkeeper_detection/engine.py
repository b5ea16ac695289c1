"""Engine: matcher and joiner in one process, for live events that come out of order.

`evaluate` judges an event at once; matches of stateful rules wait, in event-time order, until `advance` says that nothing
earlier is still to come. So the outcome depends on what happened, not on the order in which it was read.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.joiner import FirstSeenMode, Joiner
from watchkeeper_detection.match import Match
from watchkeeper_detection.matcher import Matcher

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Program

SECOND_NS = 1_000_000_000
LATENESS_NS = {
    "kernel": 2 * SECOND_NS,
    "audit.request": 30 * SECOND_NS,
    "rbac.grant": SECOND_NS,
    "rbac.object": SECOND_NS,
    "cloudtrail.event": 15 * 60 * SECOND_NS,
}
OTHER_LATENESS_NS = 15 * 60 * SECOND_NS
WAITING = 1_000_000  # matches held back at most; past that the oldest are joined early, and counted
EVER = 2**62


class Engine:
    """Events in, detections out. Reads no clock: time is what events and `advance` say."""

    def __init__(self, program: Program, *, first_seen: FirstSeenMode = "live", late: frozenset[str] = frozenset()) -> None:
        """`late`: fields that may not be known yet when an event comes (`Matcher.match_now`)."""
        self.matcher = Matcher(program, late)
        self.joiner = Joiner(program, first_seen=first_seen)
        self.watermark = -EVER
        self.late = 0  # matches older than the watermark: judged alone
        self.hurried = 0  # matches joined before their time because too many waited
        self._waiting: list[tuple[tuple[int, int, str, str], int, Match]] = []
        self._pushed = 0

    def evaluate(self, event: Event) -> list[Detection]:
        detections, matches = self.matcher.match(event)
        found = list(detections)
        for match in matches:
            found += self.wait(match)
        return found

    @property
    def is_waiting(self) -> bool:
        """Whether matches wait for `advance`."""
        return bool(self._waiting)

    def wait(self, match: Match) -> list[Detection]:
        """Take a match that `matcher` gave; it is joined when nothing earlier is still to come."""
        if match.observed_at < self.watermark:
            self.late += 1
            alone = self.joiner.join_alone(match)
            return [alone] if alone else []
        self._pushed += 1
        heapq.heappush(self._waiting, (match.order(), self._pushed, match))
        if len(self._waiting) <= WAITING:
            return []
        self.hurried += 1
        detection = self.joiner.join(heapq.heappop(self._waiting)[2])
        return [detection] if detection else []

    def advance(self, watermark: int) -> list[Detection]:
        """Nothing before `watermark` (nanoseconds, event time) is still to come: join what waited, close windows."""
        found = []
        while self._waiting and self._waiting[0][0][0] < watermark:
            detection = self.joiner.join(heapq.heappop(self._waiting)[2])
            if detection:
                found.append(detection)
        if watermark > self.watermark:
            self.watermark = watermark
            self.joiner.close(watermark)
        return found

    def finish(self) -> list[Detection]:
        """No event is still to come."""
        return self.advance(EVER)

    def snapshot(self) -> bytes:
        """State of the joiner, what waits, and the watermark."""
        return msgspec.msgpack.encode((self.joiner.snapshot(), self.watermark, [match for _, _, match in self._waiting]))

    def restore(self, data: bytes) -> tuple[str, ...]:
        """Take up a snapshot; returns the rules that begin anew. Raises ValueError when it is none."""
        try:
            state, watermark, waiting = msgspec.msgpack.decode(data, type=tuple[bytes, int, list[Match]])
        except msgspec.DecodeError as damage:
            raise ValueError(f"not a snapshot of an engine: {damage}") from damage
        anew = self.joiner.restore(state)
        self.watermark = watermark
        for match in waiting:
            self.wait(match)
        return anew


class Watermarks:
    """Up to when events are complete: for each kind the latest event time less its allowed lateness; the least of all."""

    def __init__(self, lateness_ns: dict[str, int] | None = None) -> None:
        self._lateness_ns = {**LATENESS_NS, **(lateness_ns or {})}
        self._latest: dict[str, int] = {}

    def observe(self, event: Event) -> None:
        """An event without a time, as a line that can't be read, says nothing about what is complete."""
        kind = event.kind if event.source != "kernel" else "kernel"
        if event.observed_at > self._latest.get(kind, 0):
            self._latest[kind] = event.observed_at

    @property
    def complete_until(self) -> int:
        return min((latest - self._lateness_ns.get(kind, OTHER_LATENESS_NS) for kind, latest in self._latest.items()), default=-EVER)
