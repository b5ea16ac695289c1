"""A Detection as an OCSF event of the class Detection Finding (2004), for SIEMs.

Only what the class has of its own, no profiles. What OCSF has no word for stands under `unmapped`. https://schema.ocsf.io/1.6.0/classes/detection_finding
"""

from __future__ import annotations

from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.attack import MATRIX_VERSION, PREVIOUS_VERSION, TACTICS, TECHNIQUES, by_version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchkeeper_detection.detection import Detection, Entity

SCHEMA_VERSION = "1.6.0"
CLASS_UID = 2004
CREATE = 1

SEVERITIES: Mapping[str, tuple[int, str]] = MappingProxyType({"P1": (5, "Critical"), "P2": (4, "High"), "P3": (3, "Medium"), "P4": (2, "Low")})
CONFIDENCES: Mapping[str, tuple[int, str]] = MappingProxyType({"low": (1, "Low"), "medium": (2, "Medium"), "high": (3, "High")})
OBSERVABLES: Mapping[str, tuple[int, str]] = MappingProxyType(
    {"address": (2, "IP Address"), "user": (4, "User Name"), "identity": (31, "User Object: uid"), "container": (27, "Container"), "process": (25, "Process")}
)
OTHER_OBSERVABLE = (99, "Other")
MILLISECOND = 1_000_000


def detection_finding(detection: Detection, product_version: str) -> dict[str, Any]:
    """The detection as a JSON object that validates against the published class."""
    severity_id, severity = SEVERITIES[detection.severity]
    confidence_id, confidence = CONFIDENCES[detection.confidence]
    milliseconds = detection.observed_at // MILLISECOND
    row: dict[str, Any] = {
        "class_uid": CLASS_UID,
        "class_name": "Detection Finding",
        "category_uid": CLASS_UID // 1000,
        "category_name": "Findings",
        "activity_id": CREATE,
        "activity_name": "Create",
        "type_uid": CLASS_UID * 100 + CREATE,
        "type_name": "Detection Finding: Create",
        "time": milliseconds,
        "severity_id": severity_id,
        "severity": severity,
        "confidence_id": confidence_id,
        "confidence": confidence,
        "status_id": 1,
        "status": "New",
        "count": detection.count,
        "message": detection.message,
        "metadata": _metadata(detection, product_version),
        "finding_info": _finding_info(detection, milliseconds),
        "unmapped": _unmapped(detection),
    }
    lists = {"observables": _observables(detection), "resources": _resources(detection), "evidences": _evidences(detection)}
    row.update({name: value for name, value in lists.items() if value})
    if detection.runbook:
        row["remediation"] = {"desc": detection.runbook}
    return row


def _metadata(detection: Detection, product_version: str) -> dict[str, Any]:
    return {
        "version": SCHEMA_VERSION,
        "product": {"name": "Watchkeeper", "vendor_name": "Watchkeeper", "version": product_version},
        "uid": detection.id,
        "event_code": f"{detection.policy}/{detection.rule}",
        "log_name": detection.source,
    }


def _finding_info(detection: Detection, milliseconds: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "uid": detection.id,
        "title": detection.title,
        "desc": detection.message,
        "analytic": {
            "uid": f"{detection.policy}/{detection.rule}",
            "name": f"{detection.policy}/{detection.rule}",
            "type_id": 1,
            "type": "Rule",
        },
        "created_time": milliseconds,
        "last_seen_time": milliseconds,
        "data_sources": [detection.source],
        "related_events": [{"uid": uid, "type": detection.kind} for uid in detection.event_ids],
        "related_events_count": detection.count,
    }
    if detection.revision:
        row["analytic"]["version"] = detection.revision
    attacks = attacks_of(detection.attack)
    if attacks:
        row["attacks"] = attacks
    return row


def attacks_of(ids: Sequence[str]) -> list[dict[str, Any]]:
    """OCSF's `attack` objects: one per technique and tactic of v19, and one per technique whose v18 id was another."""
    now, before = by_version(ids)
    found: list[dict[str, Any]] = []
    for id_ in now:
        technique = TECHNIQUES.get(id_)
        if technique is None:
            continue
        found.extend(
            {"version": MATRIX_VERSION, "tactic": {"uid": TACTICS[tactic].id, "name": TACTICS[tactic].name}, **_technique(id_)} for tactic in technique.tactics
        )
    found.extend({"version": PREVIOUS_VERSION, **_bare_technique(id_)} for id_ in before if id_ not in now)
    return found


def _technique(id_: str) -> dict[str, Any]:
    technique = TECHNIQUES[id_]
    own = {"uid": id_, "name": technique.name, "src_url": technique.url}
    if technique.parent is None:
        return {"technique": own}
    parent = TECHNIQUES[technique.parent]
    return {"technique": {"uid": parent.id, "name": parent.name, "src_url": parent.url}, "sub_technique": own}


def _bare_technique(id_: str) -> dict[str, Any]:
    parent, dot, _ = id_.partition(".")
    return {"technique": {"uid": parent}, "sub_technique": {"uid": id_}} if dot else {"technique": {"uid": id_}}


def _observables(detection: Detection) -> list[dict[str, Any]]:
    return [_observable(entity) for entity in detection.entities]


def _observable(entity: Entity) -> dict[str, Any]:
    type_id, type_name = OBSERVABLES.get(entity.kind, OTHER_OBSERVABLE)
    if entity.kind == "address" and not _is_address(entity.id):
        type_id, type_name = OTHER_OBSERVABLE
    return {"name": f"{entity.role}.{entity.kind}", "type_id": type_id, "type": type_name, "value": entity.id}


def _resources(detection: Detection) -> list[dict[str, Any]]:
    targets = [{"uid": entity.id, "name": entity.id, "type": entity.kind, "role": entity.role} for entity in detection.entities if entity.role == "target"]
    if not targets and detection.target is not None:
        targets.append({"name": detection.target, "role": "target"})
    return targets


def _evidences(detection: Detection) -> list[dict[str, Any]]:
    evidence: dict[str, Any] = {}
    user = {name: value for name, value in (("name", detection.actor), ("uid", detection.identity)) if value is not None}
    if user:
        evidence["actor"] = {"user": user}
    if detection.origin is not None:
        evidence["src_endpoint"] = {"ip" if _is_address(detection.origin) else "name": detection.origin}
    return [evidence] if evidence else []


def _unmapped(detection: Detection) -> dict[str, Any]:
    return {
        "policy": detection.policy,
        "rule": detection.rule,
        "severity": detection.severity,
        "kind": detection.kind,
        "places": [{"stream": place.stream, "number": place.number, "offset": place.offset} for place in detection.places],
        "provider_ids": list(detection.provider_ids),
        "absent": list(detection.absent),
        "unresolved": list(detection.unresolved),
        "blind_spots": list(detection.blind_spots),
    }


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
