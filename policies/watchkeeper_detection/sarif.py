"""Detections as SARIF 2.1.0, for code hosts and editors that show results beside a file's lines. https://docs.oasis-open.org/sarif/sarif/v2.1.0/"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.attack import TECHNIQUES, by_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_detection.detection import Detection, Place

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS: Mapping[str, str] = MappingProxyType({"P1": "error", "P2": "error", "P3": "warning", "P4": "note"})
SECURITY_SEVERITY: Mapping[str, str] = MappingProxyType({"P1": "9.5", "P2": "8.0", "P3": "5.0", "P4": "2.0"})
"""What GitHub's code scanning sorts by: critical above 9, high 7 to 8.9, medium 4 to 6.9, low below."""
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
PLACES_SHOWN = 20


def sarif_log(detections: Iterable[Detection], product_version: str) -> dict[str, Any]:
    """One run with a result per detection; rules are those that held, in the order in which they first did."""
    rules: list[dict[str, Any]] = []
    indexes: dict[str, int] = {}
    results: list[dict[str, Any]] = []
    for detection in detections:
        name = f"{detection.policy}/{detection.rule}"
        if name not in indexes:
            indexes[name] = len(rules)
            rules.append(_rule(name, detection))
        results.append(_result(name, indexes[name], detection))
    driver = {"name": "Watchkeeper", "version": product_version, "rules": rules}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results, "columnKind": "unicodeCodePoints"}],
    }


def _rule(name: str, detection: Detection) -> dict[str, Any]:
    techniques = by_version(detection.attack)[0]
    row: dict[str, Any] = {
        "id": name,
        "name": detection.rule,
        "shortDescription": {"text": detection.title},
        "help": {"text": detection.runbook or detection.title},
        "defaultConfiguration": {"level": LEVELS[detection.severity]},
        "properties": {
            "tags": ["security", *(f"external/attack/{id_}" for id_ in techniques)],
            "precision": detection.confidence,
            "security-severity": SECURITY_SEVERITY[detection.severity],
        },
    }
    known = [TECHNIQUES[id_].url for id_ in techniques if id_ in TECHNIQUES]
    if known:
        row["helpUri"] = known[0]
    return row


def _result(name: str, index: int, detection: Detection) -> dict[str, Any]:
    *earlier, last = detection.places
    row: dict[str, Any] = {
        "ruleId": name,
        "ruleIndex": index,
        "level": LEVELS[detection.severity],
        "message": {"text": detection.message or detection.title},
        "locations": [_location(last)],
        "partialFingerprints": {"detectionId/v1": detection.id},
        "occurrenceCount": detection.count,
        "properties": {
            "severity": detection.severity,
            "kind": detection.kind,
            "attack": list(by_version(detection.attack)[0]),
            "actor": detection.actor,
            "target": detection.target,
            "origin": detection.origin,
        },
    }
    if detection.unresolved:
        row["properties"]["unresolved"] = list(detection.unresolved)
    if earlier:
        row["relatedLocations"] = [{"id": number, **_location(place)} for number, place in enumerate(earlier[-PLACES_SHOWN:], 1)]
    return row


def _location(place: Place) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri_of(place.stream)}, "region": {"startLine": max(place.number, 1)}}}


def uri_of(stream: str) -> str:
    """URI reference of a stream's name: a path is percent-encoded, an absolute one gets `file://`, a URI stays as it is."""
    scheme, separator, _ = stream.partition("://")
    if separator and scheme.isalnum():
        return _quoted(stream[: len(scheme)]) + "://" + _quoted(stream[len(scheme) + 3 :])
    quoted = _quoted(stream)
    return f"file://{quoted}" if stream.startswith("/") else quoted


def _quoted(text: str) -> str:
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in text.encode("utf-8", "surrogateescape"))
