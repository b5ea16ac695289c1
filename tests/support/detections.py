"""Builder of detections with good defaults."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.detection import Detection, Place

SECOND = 1_000_000_000
MARCH_12 = 1_773_282_600  # 2026-03-12T02:30:00Z


def a_detection(*, at: float = 0, line: int = 1, **fields: Any) -> Detection:
    """A detection `at` seconds past half past two on 12 March 2026, in this line of audit.log."""
    defaults: dict[str, Any] = {
        "id": f"{line:032x}",
        "kind": "audit.request",
        "observed_at": round((MARCH_12 + at) * SECOND),
        "policy": "k8s-pod-exec",
        "rule": "exec-in-pod",
        "title": "Command run in a pod through the API",
        "severity": "P3",
        "confidence": "medium",
        "attack": ("T1609",),
        "message": "alice ran sh in shop/cart",
        "source": "k8s-audit",
        "places": (Place("audit.log", line, -1),),
        "event_ids": (f"k8s-audit:audit.log:{line}",),
        "identity": "alice",
    }
    return Detection(**(defaults | fields))
