"""What a person is told of an incident, and when: when it opens, for each step that it becomes graver, and when it is closed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_operator.incidents.explaining import by_gravity, judged, next_steps, tactics_of, title_of, togetherness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_operator.incidents.deciding import Standing
    from watchkeeper_operator.incidents.summary import Summary

LINES_TOLD = 10
ENTITIES_TOLD = 20


def notices_of(incidents: Iterable[Standing], before: Mapping[str, str], *, receivers: Iterable[str], now: int) -> list[dict[str, Any]]:
    """Rows of notices. `before`: severity of those that were there."""
    receivers = tuple(receivers)
    rows: list[dict[str, Any]] = []
    for one in incidents if receivers else ():
        severity = judged(one.summary).severity
        if one.id not in before or severity < before[one.id]:
            rows += rows_of(one.id, one.scope, one.summary, "graver" if one.id in before else "opened", receivers=receivers, now=now)
    return rows


def rows_of(name: str, scope: str, summary: Summary, occasion: str, *, receivers: Iterable[str], now: int) -> list[dict[str, Any]]:
    """Rows of one incident's notices. An incident may be closed several times: each is an occasion of its own."""
    told = told_of(name, scope, summary, occasion)
    row: dict[str, Any] = {"incident": name, "occasion": f"{occasion} {now if occasion == 'closed' else told['severity']}", "state": "waiting"}
    row |= {"made_at": now, "due_at": now, "attempts": 0, "reason": "", "body": msgspec.json.encode(told)}
    return [{"receiver": receiver, **row} for receiver in receivers]


def told_of(name: str, scope: str, summary: Summary, occasion: str) -> dict[str, Any]:
    """The body of a notice. occasion: `opened`, `graver`, `closed`."""
    verdict = judged(summary)
    return {
        "kind": "incident",
        "occasion": occasion,
        "incident": name,
        "namespace": scope,
        "title": title_of(summary),
        "severity": verdict.severity,
        "because": verdict.because,
        "together": togetherness(summary),
        "confidence": summary.confidence,
        "detections": summary.detections,
        "first": time_text(summary.first),
        "last": time_text(summary.last),
        "tactics": tactics_of(summary),
        "attack": sorted(summary.attack),
        "entities": [
            {"role": entity.role, "kind": entity.kind, "id": entity.id, "name": entity.name} for entity in list(summary.entities.values())[:ENTITIES_TOLD]
        ],
        "happened": [
            {"at": time_text(line.first), "policy": line.policy, "rule": line.rule, "severity": line.severity, "message": line.message, "count": line.count}
            for line in by_gravity(summary.lines.values())[:LINES_TOLD]
        ],
        "next": next_steps(summary),
    }
