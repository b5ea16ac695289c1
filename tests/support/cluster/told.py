"""What Incidents of a cluster tell: looked up by policy, rule and the words that have to be in it."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.cluster.installation import Installation

ROOT = "watchkeeper"


def telling(installation: Installation, policy: str, *words: str, namespace: str = ROOT) -> dict[str, Any] | None:
    """The newest incident that has a detection of the policy and all words."""
    found = [one for one in installation.objects("incidents", "--namespace", namespace) if _tells(one, policy, words)]
    return max(found, key=lambda one: str(one["metadata"]["creationTimestamp"]), default=None)


def _tells(incident: dict[str, Any], policy: str, words: tuple[str, ...]) -> bool:
    text = json.dumps(incident)
    return any(one["policy"].endswith(f"/{policy}") for one in _entries(incident)) and all(word in text for word in words)


def _entries(incident: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in incident.get("status", {}).get("timeline", ()) if "policy" in one]


def entry(installation: Installation, policy: str, rule: str, *words: str) -> dict[str, Any] | None:
    """Entry of the timeline of any incident: of this rule, with these words in its message."""
    for incident in installation.objects("incidents", "--namespace", ROOT):
        for one in _entries(incident):
            if one["policy"] == f"{ROOT}/{policy}" and one["rule"] == rule and all(word in one["message"] for word in words):
                return one
    return None


def count(installation: Installation, policy: str) -> int:
    """Of the detections of a root policy that incidents show."""
    incidents = installation.objects("incidents", "--namespace", ROOT)
    return sum(one["count"] for incident in incidents for one in _entries(incident) if one["policy"] == f"{ROOT}/{policy}")


def entities(incident: dict[str, Any], kind: str) -> set[str]:
    """Ids of the entities of a kind, and their names where they have one."""
    return {name for one in incident["status"]["entities"] if one["kind"] == kind for name in (one["id"], one.get("name")) if name}


def seconds_since(at: str) -> float:
    """`at`: RFC 3339 with up to nanoseconds, as objects have it."""
    return time.time() - datetime.fromisoformat(at).timestamp()
