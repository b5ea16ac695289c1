"""One JSON object per detection and line: the output for scripts, jq and the score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.attack import MATRIX_VERSION, by_version
from watchkeeper_detection.logs.provider import time_text

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Detection


def as_object(detection: Detection) -> dict[str, Any]:
    """Field by field what scripts read. `file` and `line` are the last event's; `lines` names every event of a threshold or
    sequence that stands in that file, `places` those of all files.
    """
    place = detection.places[-1]
    v19, v18 = by_version(detection.attack)
    row: dict[str, Any] = {
        "id": detection.id,
        "file": place.stream,
        "line": place.number,
        "event_id": detection.provider_ids[-1] if detection.provider_ids else detection.event_ids[-1],
        "observed_at": time_text(detection.observed_at),
        "policy": detection.policy,
        "rule": detection.rule,
        "title": detection.title,
        "severity": detection.severity,
        "confidence": detection.confidence,
        "attack": v19,
        "attack_version": MATRIX_VERSION,
        "message": detection.message,
        "actor": detection.actor,
        "identity": detection.identity,
        "target": detection.target,
        "origin": detection.origin,
        "kind": detection.kind,
        "source": detection.source,
        "count": detection.count,
        "entities": detection.entities,
        "absent": detection.absent,
        "unresolved": detection.unresolved,
        "blind_spots": detection.blind_spots,
        "revision": detection.revision,
    }
    if detection.act is not None:
        row["act"] = detection.act
        row["runbook"] = detection.runbook
    if v18 != v19:
        row["attack_v18"] = v18
    if len(detection.places) > 1:
        row["lines"] = [one.number for one in detection.places if one.stream == place.stream]
        row["places"] = [{"file": one.stream, "line": one.number} for one in detection.places]
        row["event_ids"] = detection.provider_ids or detection.event_ids
    return row
