"""One part of the input, judged alone: what a worker process does, and what a single process does part by part."""

from __future__ import annotations

import gc
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.blind_spots import SAMPLE, Presence
from watchkeeper_detection.detection import Detection
from watchkeeper_detection.logs.stream import StreamReader
from watchkeeper_detection.match import Match
from watchkeeper_detection.matcher import Matcher
from watchkeeper_detection.program import Program
from watchkeeper_operator.transports import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchkeeper_detection.event import Event

COLLECT_EVERY = 50_000  # objects made between two collections
READ_FOR_SUMMARY = {"audit": {"audit.level", "audit.stage", "audit.auditID"}, "cloudtrail": {"cloudtrail.eventCategory"}, "log": {"log.reason", "log.excerpt"}}


class Setup(msgspec.Struct, frozen=True):
    """What every process needs to judge: the program, and which events count."""

    program: Program
    source: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None


class Part(msgspec.Struct, frozen=True):
    """A file, or lines of one: from byte `start` up to `end` (None: to its end), the first of which has number `number`.

    started  audit ids of requests that earlier parts judged when they started
    """

    path: str
    start: int = 0
    end: int | None = None
    number: int = 1
    started: tuple[str, ...] = ()


class Rejected(msgspec.Struct, frozen=True):
    """A record that no reader could take."""

    file: str
    line: int
    offset: int
    reason: str
    excerpt: str | None


class Batch(msgspec.Struct, tag=True):
    """What a piece of a part gave. `outside`: events before --since or after --until, which were not judged."""

    detections: list[Detection]
    matches: list[Match]
    rejected: list[Rejected]
    events: int
    read_bytes: int
    outside: int = 0


class Unreadable(msgspec.Struct, frozen=True, tag=True):
    """A part that could not be opened or read to its end."""

    path: str
    reason: str


class Counts(msgspec.Struct, tag=True):
    """What one process counted: events by kind, what guards held back by (rule, guard), failures, what was there."""

    events: dict[str, int] = {}
    held: dict[tuple[str, str], int] = {}
    held_by_exception: dict[tuple[str, str], int] = {}
    failures: dict[str, int] = {}
    failure_example: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    levels: set[str] = set()

    def add(self, other: Counts) -> None:
        for name in ("events", "held", "held_by_exception", "failures"):
            setattr(self, name, dict(Counter(getattr(self, name)) + Counter(getattr(other, name))))
        self.failure_example = {**other.failure_example, **self.failure_example}
        self.seen = self.seen | other.seen
        self.levels = self.levels | other.levels


def _without_repeats(events: Iterator[Event], started: frozenset[str]) -> Iterator[Event]:
    """The events but the ends of requests that an earlier part judged when they started."""
    for event in events:
        if event.kind != "audit.request" or event.audit.stage != "ResponseComplete" or event.audit.auditID not in started:
            yield event


class PartJudge:
    """Judges parts with one matcher, and counts. A process has one: it tells the garbage collector what kind of work this is."""

    def __init__(self, setup: Setup) -> None:
        gc.freeze()  # policies live as long as the process, and events hold no cycles: looking for some cost 15 % of the time
        gc.set_threshold(COLLECT_EVERY)
        self._setup = setup
        self._matcher = Matcher(setup.program)
        self._presence = Presence(setup.program)
        reads = {root: set(paths) for root, paths in self._matcher.reads.items()}
        for root, paths in READ_FOR_SUMMARY.items():
            reads.setdefault(root, set()).update(paths)
        self._reads = {root: frozenset(paths) for root, paths in reads.items()}

    def judge(self, part: Part) -> Iterator[Batch | Unreadable]:
        reader = StreamReader(part.path, source=self._setup.source, reads=self._reads, number=part.number, offset=part.start)
        started = frozenset(part.started)

        def whole(events: Iterator[Event]) -> Iterator[Event]:
            return _without_repeats(events, started) if started else events

        try:
            for chunk in files.chunks(part.path, start=part.start, end=part.end):
                yield self._batch(whole(reader.feed(chunk.data)), chunk.read_bytes)
        except files.FileUnreadableError as error:
            yield Unreadable(part.path, str(error))
        yield self._batch(whole(reader.close()), 0)

    def _batch(self, events: Iterable[Event], read_bytes: int) -> Batch:
        batch = Batch([], [], [], 0, read_bytes)
        match, look, sampled, number = self._matcher.match, self._presence.look, self._presence.sampled, 0
        timed = self._setup.since_ns is not None or self._setup.until_ns is not None
        for number, event in enumerate(events, 1):
            if timed and not self._in_time(event):
                batch.outside += 1
                continue
            if event.kind not in sampled or not number % SAMPLE:
                look(event)
            if event.kind == "log.rejected":
                batch.rejected.append(Rejected(event.stream, event.number, event.offset, event.log.reason, event.log.excerpt))
            detections, matches = match(event)
            if detections:
                batch.detections += detections
            if matches:
                batch.matches += matches
        batch.events = number - batch.outside
        return batch

    def _in_time(self, event: Event) -> bool:
        """Events without a time are judged: leaving them out would hide them."""
        moment, since, until = event.observed_at, self._setup.since_ns, self._setup.until_ns
        return not moment or ((since is None or moment >= since) and (until is None or moment < until))

    def counts(self) -> Counts:
        counted = self._matcher.statistics
        return Counts(
            events=dict(counted.events),
            held=dict(counted.held),
            held_by_exception=dict(counted.held_by_exception),
            failures=dict(counted.failures),
            failure_example=counted.failure_example,
            seen=self._presence.seen,
            levels=self._presence.levels,
        )
