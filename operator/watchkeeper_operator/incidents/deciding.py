"""What a batch of detections does to the incidents that are there: which are opened, widened, made one. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_operator.incidents.joining import LONGEST_NS, WINDOW_NS, Group, Groups, Span
from watchkeeper_operator.incidents.shares import Share, scope_of, shares_of
from watchkeeper_operator.incidents.summary import Summary, merged, summary_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_detection.detection import Detection, Severity

CROWD = 50  # incidents that one rule opens within LONGEST_NS; what it finds then is one incident more, until it comes to rest
LEAST_SEVERITY: Severity = "P3"  # opens an incident; what is less is context of others


class Arrived(NamedTuple):
    """A detection with what it shares. `received_at`: when a collector had it."""

    detection: Detection
    shares: tuple[Share, ...]
    received_at: int


@dataclass(slots=True)
class Standing:
    """An incident as it is in the store. `judged`: a person has spoken of it, so that it keeps its name whatever it meets."""

    id: str
    scope: str
    opened_by: str
    opened_at: int
    summary: Summary
    spans: dict[str, Span]
    judged: bool = False


@dataclass(slots=True)
class Outcome:
    """incidents: id → as it is now, of those that changed; merged: gone → kept; members: detection → incident; opened: those that are new."""

    incidents: dict[str, Standing] = field(default_factory=dict)
    merged: dict[str, str] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)
    opened: dict[str, Arrived] = field(default_factory=dict)


def arrived(detection: Detection, received_at: int) -> Arrived:
    return Arrived(detection, shares_of(detection), received_at)


def opens(one: Arrived) -> bool:
    """Whether it makes an incident by itself."""
    return one.detection.severity <= LEAST_SEVERITY


def incident_name(detection: Detection, now: int) -> str:
    """Of the incident that a detection opens: never that of an older one, also where the detection was forgotten meanwhile."""
    return f"inc-{hashlib.blake2b(f'{detection.id} {now}'.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"


def rule_of(detection: Detection) -> str:
    return f"{scope_of(detection)}/{detection.policy}/{detection.rule}"


def crowd_of(detection: Detection) -> Share:
    """What all detections of a rule share that has opened too many incidents."""
    return Share("rule", f"{detection.policy}/{detection.rule}")


def spans_of(one: Arrived) -> dict[str, Span]:
    """Every key by which it may join, its rule's crowd included."""
    return {share.key(scope_of(one.detection)): _moment(one) for share in (*one.shares, crowd_of(one.detection))}


def decide(standing: Iterable[Standing], arrivals: Iterable[Arrived], opened_so_far: Mapping[str, int], *, now: int) -> Outcome:
    """What becomes of the incidents. `standing`: all that the arrivals could join; `opened_so_far`: rule → incidents that it opened lately."""
    known = {one.id: one for one in standing}
    groups = Groups((Group(one.id, _rank(one), one.spans) for one in known.values()), window_ns=WINDOW_NS, longest_ns=LONGEST_NS)
    batch = _Batch(known, groups, dict(opened_so_far), now)
    for one in sorted(arrivals, key=lambda one: (one.detection.observed_at, one.detection.id)):
        batch.take(one)
    return batch.outcome()


def _rank(one: Standing) -> tuple[int | str, ...]:
    return (0 if one.judged else 1, one.opened_at, one.summary.first, one.id)


def _moment(one: Arrived) -> Span:
    return Span(one.detection.observed_at, one.detection.observed_at)


class _Batch:
    def __init__(self, known: dict[str, Standing], groups: Groups, opened_so_far: dict[str, int], now: int) -> None:
        self._known, self._groups, self._opened_so_far, self._now = known, groups, opened_so_far, now
        self._outcome = Outcome()
        self._pending: dict[str, list[Summary]] = {}

    def take(self, one: Arrived) -> None:
        detection, rule = one.detection, rule_of(one.detection)
        name = incident_name(detection, self._now)
        shares = one.shares
        group = self._group(name, one, shares)
        if not self._groups.meets(group):
            if self._opened_so_far.get(rule, 0) >= CROWD:
                shares = (crowd_of(detection),)
                group = self._group(name, one, shares)
            self._opened_so_far[rule] = self._opened_so_far.get(rule, 0) + (not self._groups.meets(group))
        part = self._groups.add(group)
        self._pending.setdefault(name, []).append(summary_of(detection, shares))
        if part.id == name:
            self._known[name] = Standing(name, scope_of(detection), rule, self._now, self._pending[name][0], part.spans)
            self._outcome.opened[name] = one
        self._outcome.members[detection.id] = name

    def _group(self, name: str, one: Arrived, shares: tuple[Share, ...]) -> Group:
        """Ranked behind every incident that is there, so that one of those keeps its name."""
        span = _moment(one)
        return Group(name, (2, self._now, one.detection.observed_at, name), {share.key(scope_of(one.detection)): span for share in shares})

    def outcome(self) -> Outcome:
        """Summaries merged once for each incident that changed; names of what was made one put right."""
        outcome = self._outcome
        final = {held: group.id for group in self._groups for held in group.holds}
        outcome.merged = {name: final[name] for name in self._known if final[name] != name and name not in outcome.opened}
        outcome.members = {detection: final[name] for detection, name in outcome.members.items()}
        outcome.opened = {name: one for name, one in outcome.opened.items() if final[name] == name}
        outcome.incidents = {}
        for group in self._groups:
            if parts := [part for held in group.holds for part in self._pending.get(held, ())]:
                outcome.incidents[group.id] = self._changed(group, parts)
        return outcome

    def _changed(self, group: Group, parts: list[Summary]) -> Standing:
        standing = self._known[group.id]
        olds = [self._known[held].summary for held in group.holds if held in self._known and held not in self._pending]
        whole = olds + parts
        while len(whole) > 1:  # by halves: each merge is of what is small as long as it can be
            whole = [merged(*whole[at : at + 2]) if at + 1 < len(whole) else whole[at] for at in range(0, len(whole), 2)]
        standing.summary, standing.spans = whole[0], group.spans
        return standing
