"""Audit events → detections and matches, as they come. One judge serves all bodies, from one thread.

The same request is the same event however often and by whichever way it comes: its id is made of what the API server alone chooses (when it
received it, for whom, what was asked) beside the audit id, which a client may choose.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from watchkeeper_detection.logs import kubernetes_audit, rejected
from watchkeeper_detection.logs.kubernetes_audit import AuditEvent, events_as
from watchkeeper_detection.logs.provider import RecordPlace, TypedPath, time_ns
from watchkeeper_detection.logs.record_reader import RecordReader
from watchkeeper_detection.logs.splitter import Splitter
from watchkeeper_detection.matcher import Matcher
from watchkeeper_operator.audit.nonces import PREFIX, is_ours
from watchkeeper_operator.audit.state import ARRIVALS, Arrival
from watchkeeper_operator.names import CANARY_ACCOUNT, SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import msgspec

    from watchkeeper_detection.detection import Detection
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.match import Match, Scalar
    from watchkeeper_detection.program import Program

CANARY_USER = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{CANARY_ACCOUNT}"
TRUNCATED = "audit.k8s.io/truncated"
TOLD = 200_000  # values of first-seen rules that are remembered; past that it begins anew, and the leader is told again
READ_HERE = frozenset(("audit.auditID", "audit.stage", "audit.level", "audit.annotations", "audit.user.username", "audit.userAgent"))


def request_id(event: Event) -> str:
    """One for all stages of a request, whoever received them."""
    audit: Any = event.audit
    parts = (audit.requestReceivedTimestamp, audit.user.username, audit.verb, audit.requestURI)
    told = "\x1f".join([part or "" for part in parts]).encode("utf-8", "surrogatepass")
    return f"k8s-audit:{audit.auditID}:{hashlib.blake2b(told, digest_size=12).hexdigest()}"


class DeliveredEvent(AuditEvent):
    """An audit event that was delivered, once or more than once."""

    fills = {**AuditEvent.fills, "id": request_id}  # noqa: RUF012 (never written to)


_delivered = events_as(DeliveredEvent)


@dataclass(slots=True)
class Judged:
    """What some bytes gave. Times are nanoseconds since the epoch, by the API server's clock; 0: none."""

    detections: list[Detection] = field(default_factory=list)
    matches: list[Match] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    events: int = 0
    truncated: int = 0
    rejected: int = 0
    oldest: int = 0
    newest: int = 0

    @property
    def found(self) -> int:
        return len(self.detections) + len(self.matches)


Novelty: TypeAlias = "tuple[str, tuple[Scalar, ...], tuple[Scalar, ...]]"
"""Rule, key space and value of a first-seen match."""


class AuditJudge:
    """`keys`: of canaries' nonces, as they are now. `clock`: nanoseconds since the epoch. To be called from one thread at a time.

    A first-seen rule learns nothing from a value that it had before, and most of its matches are that: they stop here once the first is stored.
    """

    def __init__(self, program: Program, *, keys: Callable[[], Sequence[bytes]], clock: Callable[[], int]) -> None:
        self.told: set[Novelty] = set()
        self._keys = keys
        self._clock = clock
        self._is_repeat = kubernetes_audit.repeats()
        self.use(program)

    def use(self, program: Program) -> None:
        """Judge by this program from the next body on."""
        self.matcher = Matcher(program)
        self._learning = frozenset(rule.state_key for rule in program.rules if rule.first_seen)
        self.told.clear()
        reads = {root: frozenset(paths) for root, paths in self.matcher.reads.items()}
        self._reads = {**reads, "audit": reads.get("audit", frozenset()) | READ_HERE, "log": frozenset(("log.reason",))}
        path = TypedPath(kubernetes_audit.audit_type(self._reads), _delivered)
        self._provider = replace(kubernetes_audit.PROVIDER, fast=lambda _reads: path, repeats=lambda: self._is_repeat)

    def body(self, stream: str) -> BodyJudge:
        """A judge of one body, or of one file from here on; `stream` is the log source's name."""
        splitter = Splitter()

        def expect(decoder: msgspec.json.Decoder[list[Any]]) -> None:
            splitter.decoder = decoder

        return BodyJudge(self, splitter, RecordReader(stream, self._provider, self._reads, expect))

    def remember(self, stored: set[Novelty]) -> None:
        """These values are stored: they need not be told again."""
        if len(self.told) + len(stored) > TOLD:
            self.told.clear()
        self.told |= stored

    def untold(self, matches: Iterable[Match], fresh: set[Novelty]) -> list[Match]:
        """The matches that may still say something; `fresh` grows by the first-seen ones among them."""
        kept = []
        for match in matches:
            if match.rule in self._learning:
                novelty = (match.rule, match.keys, match.value)
                if novelty in self.told or novelty in fresh:
                    continue
                fresh.add(novelty)
            kept.append(match)
        return kept

    def arrival(self, event: Event) -> Arrival | None:
        """The canary that an event is; None for every other request, also of the same account."""
        audit = event.audit
        agent = audit.userAgent or ""
        if audit.user.username != CANARY_USER or audit.responseStatus.code != 403 or not agent.startswith(PREFIX):
            return None
        text = agent.removeprefix(PREFIX)
        if not is_ours(self._keys(), text, event.observed_at / 1e9):
            return None
        delay = max(0, self._clock() - event.observed_at) / 1e9
        return Arrival(text, audit.verb or "", audit.requestURI or "", audit.level or "", delay)


class BodyJudge:
    """Feed it chunks of any size, then close it. Memory does not grow with the body."""

    def __init__(self, judge: AuditJudge, splitter: Splitter, records: RecordReader) -> None:
        self.fresh: set[Novelty] = set()  # to be remembered when what was found is stored
        self._judge_of = judge
        self._splitter = splitter
        self._records = records
        self._matcher = judge.matcher

    def feed(self, chunk: bytes) -> Judged:
        judged = Judged()
        for split in self._splitter.feed(chunk):
            self._judge(self._records.events(split), judged)
        return judged

    def close(self) -> Judged:
        judged = Judged()
        for split in self._splitter.close():
            self._judge(self._records.events(split), judged)
        return judged

    def _judge(self, events: Sequence[Event], judged: Judged) -> None:
        match = self._matcher.match
        for event in events:
            if event.__class__ is not DeliveredEvent and not self._prepare(event, judged):
                continue
            audit = event.audit
            if audit.annotations is not None and TRUNCATED in audit.annotations:
                judged.truncated += 1
            if audit.user.username == CANARY_USER and (arrival := self._judge_of.arrival(event)) is not None:
                if len(judged.arrivals) < ARRIVALS:
                    judged.arrivals.append(arrival)
                continue
            detections, matches = match(event)
            if detections:
                judged.detections += detections
            if matches:
                judged.matches += self._judge_of.untold(matches, self.fresh)
        judged.events += len(events)
        _time(events, judged)

    def _prepare(self, event: Event, judged: Judged) -> bool:
        """Give an event that the general path made its id, and judge what is no audit event as that. Whether there is something left to judge."""
        if event.kind == kubernetes_audit.KIND and event.audit.verb is not None:
            event.id = request_id(event)
            return True
        judged.rejected += 1
        judged.events -= 1
        if event.kind != rejected.KIND:
            event = rejected.rejected(RecordPlace(event.stream, event.number, event.offset), kubernetes_audit.SOURCE, "not an audit event", b"")
        detections, matches = self._matcher.match(event)
        judged.detections += detections
        judged.matches += matches
        return False


def _time(events: Sequence[Event], judged: Judged) -> None:
    """Oldest and newest: of the first and the last, for a log is nearly in order, and reading a time costs as much as judging."""
    for event in (events[0], events[-1]) if events else ():
        if event.kind == kubernetes_audit.KIND and (logged := time_ns(event.audit.stageTimestamp)):
            judged.oldest = min(judged.oldest or logged, logged)
            judged.newest = max(judged.newest, logged)
