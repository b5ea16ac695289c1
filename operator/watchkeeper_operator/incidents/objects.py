"""An incident as its object shows it: within 32 KiB, fifty entries and fifty entities; what finds no place is counted and in the store. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.wire import Blind
from watchkeeper_operator.incidents.explaining import by_gravity, judged, next_steps, title_of, togetherness
from watchkeeper_operator.incidents.summary import plain
from watchkeeper_operator.names import ROOT_NAMESPACE
from watchkeeper_operator.resources.conditions import Reason, Said, Type, carried_on

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchkeeper_detection.detection import Detection
    from watchkeeper_operator.incidents.summary import Line, Summary

STATUS_BYTES = 30 * 1024  # of 32 KiB that an object may have: the rest is metadata, and what people write
TITLE, SENTENCE, PARAGRAPH, ENTITY = 120, 256, 1024, 256
POLICIES, TECHNIQUES, BLIND_SPOTS, RELATED = 16, 32, 16, 16
MOMENTS = {"t1": "recorded", "t2": "received", "t3": "detected", "t4": "acknowledged", "t5": "declared", "t6": "contained", "t7": "eradicated", "t8": "closed"}


class Fit(NamedTuple):
    """How much of each is shown."""

    entries: int
    entities: int
    steps: int


FITS = (Fit(50, 50, 5), Fit(40, 40, 4), Fit(30, 30, 3), Fit(24, 24, 3), Fit(16, 16, 2), Fit(10, 10, 1), Fit(4, 4, 0))
"""From the most to what always fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """All that is known of an incident. `context`: detections that make none by themselves; `said`: what people said, each with its time."""

    id: str
    scope: str
    summary: Summary
    moments: Mapping[str, int]
    disposition: str = ""
    owner: str = ""
    closed_at: int = 0
    merged_into: str = ""
    said: Sequence[tuple[int, str]] = ()
    blind: Sequence[tuple[str, Blind]] = ()
    context: Sequence[Detection] = ()
    related: Sequence[str] = ()


def status_of(known: Known, *, before: Iterable[Mapping[str, Any]], generation: int, now: int) -> dict[str, Any]:
    """The object's status. `before`: its conditions as they are."""
    conditions = carried_on(before, _conditions(known), generation=generation, now=_instant(now // 10**9 * 10**9))
    for fit in FITS:
        status = {"observedGeneration": generation, "conditions": conditions, **_shown(known, fit)}
        if len(msgspec.json.encode(status)) <= STATUS_BYTES:
            break
    return status


def _shown(known: Known, fit: Fit) -> dict[str, Any]:
    summary, verdict = known.summary, judged(known.summary)
    entries = _entries(known)
    shown = _chosen(entries, fit.entries)
    entities = sorted(summary.entities.values(), key=lambda one: (one.severity, one.first, one.id))
    policies = list(dict.fromkeys(line.policy for line in by_gravity(summary.lines.values())))
    status: dict[str, Any] = {
        "title": _cut(title_of(summary), TITLE),
        "summary": _cut(f"{verdict.because} {togetherness(summary)}", PARAGRAPH),
        "severity": verdict.severity,
        "confidence": summary.confidence,
        "detections": summary.detections,
        "lastDetectedAt": _instant(summary.last),
        "times": _times(known),
        "policies": policies[:POLICIES],
        "attack": sorted(summary.attack, key=lambda technique: (summary.attack[technique], technique))[:TECHNIQUES],
        "entities": [_entity(one) for one in entities[: fit.entities]],
        "timeline": [entry for _, _, entry in shown],
        "entitiesLeftOut": len(entities[fit.entities :]) + summary.left_out.get("entities", 0),
        "entriesLeftOut": len(entries) - len(shown) + summary.left_out.get("lines", 0),
        "nextSteps": [_cut(step, PARAGRAPH) for step in next_steps(summary)[: fit.steps]],
        "blindSpots": _blind_spots(known),
        "related": list(known.related)[:RELATED],
    }
    return {name: value for name, value in status.items() if value not in ([], None)}


def _entity(one: Any) -> dict[str, Any]:
    shown = {"role": one.role, "kind": one.kind, "id": _cut(one.id, ENTITY), "detections": one.count}
    return {**shown, "name": _cut(one.name, ENTITY)} if one.name else shown


Entry = tuple[int, str, dict[str, Any]]  # time, gravity (the least first), what is shown


def _entries(known: Known) -> list[Entry]:
    """Everything that has a time, oldest first."""
    lines = [(line.first, line.severity, _line(line)) for line in known.summary.lines.values()]
    context = [(one.observed_at, one.severity, _context(one)) for one in known.context]
    said = [(at, "P0", {"at": _instant(at), "what": "disposition", "message": _cut(plain(words, SENTENCE), SENTENCE)}) for at, words in known.said]
    blind = [(at, "P3", {"at": _instant(at), "what": "blind", "message": words}) for at, words in _blind_lines(known)]
    return sorted((*lines, *context, *said, *blind), key=lambda entry: (entry[0], entry[1], entry[2]["message"]))


def _blind_lines(known: Known) -> list[tuple[int, str]]:
    """What nodes and logs lost is root's to know: how much went on there is no fact of one namespace."""
    if known.scope == ROOT_NAMESPACE:
        return [(one.since, blind_words(source, one)) for source, one in folded(known.blind)]
    return [(min(one.since for _, one in known.blind), "from here on a sensor or log did not see everything")] if known.blind else []


def _line(line: Line) -> dict[str, Any]:
    return {
        "at": _instant(line.first),
        "what": "detection",
        "policy": line.policy,
        "rule": line.rule,
        "severity": line.severity,
        "message": _cut(line.message or line.title or line.rule, SENTENCE),
        "count": line.count,
        "detection": line.detection,
    }


def _context(one: Detection) -> dict[str, Any]:
    message = _cut(plain(one.message or one.title or one.rule, SENTENCE), SENTENCE)
    named = {"policy": f"{one.namespace or ROOT_NAMESPACE}/{one.policy}", "rule": one.rule, "severity": one.severity}
    return {"at": _instant(one.observed_at), "what": "context", **named, "message": message, "detection": one.id}


def _chosen(entries: list[Entry], most: int) -> list[Entry]:
    """The gravest half, then the first and the newest of the others, in the order of time."""
    if len(entries) <= most:
        return entries
    gravest = sorted(range(len(entries)), key=lambda number: (entries[number][1], number))[: most // 2]
    rest = [number for number in range(len(entries)) if number not in set(gravest)]
    left = most - len(gravest)
    ends = {*rest[: left - left // 2], *(rest[-(left // 2) :] if left // 2 else ())}
    return [entries[number] for number in sorted({*gravest, *ends})]


def _times(known: Known) -> dict[str, str]:
    times = {"began": known.summary.first, **{name: known.moments[moment] for moment, name in MOMENTS.items() if moment in known.moments}}
    return {name: text for name, at in times.items() if (text := _instant(at))}


def _blind_spots(known: Known) -> list[str]:
    """A sentence for each cause and source; tenants are told how often, not where."""
    if known.scope != ROOT_NAMESPACE:
        return [f"{len(known.blind)} times a sensor or log did not see everything meanwhile"] if known.blind else []
    return list(dict.fromkeys(blind_words(source, one) for source, one in folded(known.blind)))[:BLIND_SPOTS]


def folded(blind: Iterable[tuple[str, Blind]]) -> list[tuple[str, Blind]]:
    """One for each source and cause, in order of their begin: what was missed in all of them, from the first moment until the last."""
    found: dict[tuple[str, str], Blind] = {}
    for source, one in sorted(blind, key=lambda row: row[1].since):
        before = found.get((source, one.cause))
        found[source, one.cause] = one if before is None else _both(before, one)
    return [(source, one) for (source, _), one in found.items()]


def _both(one: Blind, other: Blind) -> Blind:
    return Blind(
        cause=one.cause,
        since=min(one.since, other.since),
        until=max(one.until, other.until),
        records=dict(Counter(one.records) + Counter(other.records)),
        entries=dict(Counter(one.entries) + Counter(other.entries)),
    )


def blind_words(source: str, one: Blind) -> str:
    """`node/5f0c: ring_full, 12 records not told (process.exec), from … until …`."""
    missed = [
        f"{sum(counts.values())} {what} ({', '.join(sorted(counts)[:3])})"
        for counts, what in ((one.records, "records not told"), (one.entries, "not kept"))
        if counts
    ]
    words = ", ".join([f"{source}: {one.cause}" if source else one.cause, *missed])
    return _cut(plain(f"{words}, from {time_text(one.since)} until {time_text(one.until)}", SENTENCE), SENTENCE)


def _conditions(known: Known) -> list[Said]:
    is_acknowledged, is_closed = bool(known.owner or known.disposition), bool(known.closed_at)
    because = f"one with {known.merged_into}" if known.merged_into else known.disposition
    return [
        Said(Type.ACKNOWLEDGED, is_acknowledged, Reason.OWNER_SET if known.owner else Reason.DISPOSED if known.disposition else Reason.NOBODY_YET),
        Said(Type.CONTAINED, "t6" in known.moments, Reason.ACTION_VERIFIED if "t6" in known.moments else Reason.NO_ACTION),
        Said(Type.CLOSED, is_closed, Reason.DISPOSED if is_closed else Reason.GOING_ON, because if is_closed else ""),
    ]


def _instant(ns: int) -> str:
    """RFC 3339; the epoch's first instant where a time can't be written."""
    return time_text(ns) or "1970-01-01T00:00:00Z"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
