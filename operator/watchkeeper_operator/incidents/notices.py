"""What a person is told of an incident, and when: once when it opens, once for each step that it becomes graver. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_operator.incidents.explaining import by_gravity, judged, next_steps, tactics_of, title_of, togetherness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_operator.incidents.deciding import Standing

LINES_TOLD = 10
ENTITIES_TOLD = 20


def notices_of(incidents: Iterable[Standing], before: Mapping[str, str], *, receivers: Iterable[str], now: int) -> list[dict[str, Any]]:
    """Rows of notices. `before`: severity of those that were there."""
    receivers = tuple(receivers)
    rows = []
    for one in incidents:
        severity = judged(one.summary).severity
        if one.id in before and severity >= before[one.id]:
            continue
        body = msgspec.json.encode(told_of(one, occasion := "graver" if one.id in before else "opened"))
        rows += [
            {
                "receiver": receiver,
                "incident": one.id,
                "occasion": f"{occasion} {severity}",
                "state": "waiting",
                "made_at": now,
                "due_at": now,
                "attempts": 0,
                "reason": "",
                "body": body,
            }
            for receiver in receivers
        ]
    return rows


def told_of(one: Standing, occasion: str) -> dict[str, Any]:
    """The body of a notice."""
    summary, verdict = one.summary, judged(one.summary)
    return {
        "kind": "incident",
        "occasion": occasion,
        "incident": one.id,
        "namespace": one.scope,
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
