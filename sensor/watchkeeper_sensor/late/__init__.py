"""Rules that wait for late fields: of the files that run and are touched, of containers that no file describes yet, of what the cluster knows.

Only what a rule reads is looked for. A rule waits until all of it is known, 2 s at most; then, when the queue is full, and when the agent ends, it is
judged without, and its detection says what was unresolved.
"""

from __future__ import annotations

import time
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_detection.engine import EVER
from watchkeeper_sensor.late.source import GIVEN_UP, LATE_SECONDS, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.match import Match
    from watchkeeper_detection.matcher import Matcher
    from watchkeeper_detection.unit import Unit

WAITING = 4096  # rules and events that wait
WAITING_BYTES = 8 << 20
EVENT_BYTES = 2048  # of an event beside its record, as measured with its process and file


class Judged(NamedTuple):
    """What an event's late judgement gave."""

    event: Event
    detections: tuple[Detection, ...]
    matches: tuple[Match, ...]


class Waiting:
    """One event that one rule is to be judged by."""

    __slots__ = ("deadline", "event", "keys", "matcher", "open", "size", "unit")

    def __init__(self, event: Event, matcher: Matcher, unit: Unit, deadline: float) -> None:
        self.event = event
        self.matcher = matcher
        self.unit = unit
        self.deadline = deadline
        self.size = EVENT_BYTES + len(event.__dict__.get("record", b""))
        self.keys: dict[Hashable, set[str]] = {}  # what is waited for → fields that it decides
        self.open: set[str] = set()  # fields that were given up

    @property
    def unresolved(self) -> frozenset[str]:
        return frozenset(self.open.union(*self.keys.values()))

    @property
    def keeps_state(self) -> bool:
        rule = self.unit.rule
        return bool(rule.sequence or rule.threshold or rule.first_seen or rule.suppress)


class LateQueue:
    """Bounded by number, bytes and time. Reads its clock for the deadlines alone: a step of the wall's clock does not matter."""

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        most: int = WAITING,
        most_bytes: int = WAITING_BYTES,
        seconds: float = LATE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        time_of: Callable[[Event], int] = attrgetter("observed_at"),
    ) -> None:
        """`time_of`: by which windows are kept, nanoseconds."""
        self.judged: Counter[str] = Counter()  # how waiting ended: `known`, `too_late`, `queue_full`, `ended` → rules judged
        self._sources = sources
        self._by_path: dict[str, Source] = {path: source for source in sources for path in source.paths}
        self._most, self._most_bytes, self._seconds, self._clock = most, most_bytes, seconds, clock
        self._time_of = time_of
        self._waiting: dict[int, Waiting] = {}  # in the order of arrival, so of deadlines
        self._stateful: dict[int, int] = {}  # of those whose match is joined with others: event time
        self._of_key: dict[Hashable, set[int]] = {}
        self._bytes = 0
        self._number = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def paths(self) -> frozenset[str]:
        """Fields that somebody gives."""
        return frozenset(self._by_path)

    @property
    def joined_until(self) -> int:
        """Time of the earliest event that waits and whose match will be joined with others, nanoseconds; nothing later may be joined before it."""
        return next(iter(self._stateful.values()), EVER)

    def take(self, event: Event, matcher: Matcher, units: Iterable[Unit]) -> Judged:
        """Judge by the rules for which all is known already; the others wait."""
        ready: list[Waiting] = []
        for unit in units:
            waiting = Waiting(event, matcher, unit, self._clock() + self._seconds)
            self._ask(waiting, unit.late)
            if not waiting.keys:
                ready.append(waiting)
            elif len(self._waiting) >= self._most or self._bytes + waiting.size > self._most_bytes:
                self.judged["queue_full"] += 1
                ready.append(waiting)
            else:
                self._put(waiting)
        judged = [self._judge(waiting) for waiting in ready]
        return Judged(event, tuple([one for each in judged for one in each.detections]), tuple([one for each in judged for one in each.matches]))

    def settled(self) -> Iterator[Judged]:
        """What is known by now, or has waited for too long."""
        for source in self._sources:
            for key in source.settled():
                for number in self._of_key.pop(key, ()):
                    waiting = self._waiting[number]
                    self._ask(waiting, waiting.keys.pop(key))
                    if waiting.keys:
                        self._register(number, waiting)
                    else:
                        yield self._end(number, "known")
        now = self._clock()
        while self._waiting:
            number, waiting = next(iter(self._waiting.items()))
            if waiting.deadline > now:
                return
            yield self._end(number, "too_late")

    def finish(self) -> Iterator[Judged]:
        """Judge all that waits with what is known."""
        while self._waiting:
            yield self._end(next(iter(self._waiting)), "ended")

    def close(self) -> None:
        for source in self._sources:
            source.close()

    def _ask(self, waiting: Waiting, paths: Iterable[str]) -> None:
        for path in paths:
            source = self._by_path.get(path)
            key = source.awaits(waiting.event, path) if source is not None else None
            if key == GIVEN_UP:
                waiting.open.add(path)
            elif key is not None:
                waiting.keys.setdefault(key, set()).add(path)

    def _put(self, waiting: Waiting) -> None:
        self._number += 1
        self._waiting[self._number] = waiting
        self._bytes += waiting.size
        _ = waiting.event.observed_at  # by the wall's clock as it stands
        if waiting.keeps_state:
            self._stateful[self._number] = self._time_of(waiting.event)
        self._register(self._number, waiting)

    def _register(self, number: int, waiting: Waiting) -> None:
        for key in waiting.keys:
            self._of_key.setdefault(key, set()).add(number)

    def _end(self, number: int, how: str) -> Judged:
        waiting = self._waiting.pop(number)
        self._stateful.pop(number, None)
        self._bytes -= waiting.size
        for key in waiting.keys:
            of_key = self._of_key.get(key, set())
            of_key.discard(number)
            if not of_key:
                self._of_key.pop(key, None)
        self.judged[how] += 1
        return self._judge(waiting)

    def _judge(self, waiting: Waiting) -> Judged:
        for source in self._sources:
            if paths := waiting.unit.late & source.paths:
                source.fill(waiting.event, paths)
        return Judged(waiting.event, *waiting.matcher.match_late(waiting.event, (waiting.unit,), waiting.unresolved))
