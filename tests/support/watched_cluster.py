"""A cluster as Watchkeeper leaves it in a bad night: objects with statuses on a test's API server, for commands that people read."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.support.admission import EPOCH, OPERATOR
from tests.support.cluster_objects import FULL_STATUSES, a_log_source, a_node_sensor, a_sensor, an_incident, fenced
from tests.support.policy_objects import a_policy, renamed

if TYPE_CHECKING:
    from tests.support.api_client import ApiClient

HOSTILE = "evil\x1b[2J\u202egpj.exe"
"""Clears a terminal and turns text around, where it reaches one unescaped. The API server's schema lets it through in a sentence."""


def moment(**before: float) -> str:
    return (datetime.now(UTC) - timedelta(**before)).strftime("%Y-%m-%dT%H:%M:%SZ")


def said(*conditions: tuple[str, bool | None, str, str]) -> list[dict[str, Any]]:
    """(type, status, reason, message) each."""
    return [
        {
            "type": type_,
            "status": "Unknown" if holds is None else str(holds),
            "reason": reason,
            "message": message,
            "lastTransitionTime": moment(hours=2),
            "observedGeneration": 1,
        }
        for type_, holds, reason, message in conditions
    ]


def make(client: ApiClient, written: dict[str, Any], status: dict[str, Any] | None = None) -> dict[str, Any]:
    """The object with its status, each written by whoever may."""
    of_operator = written["kind"] in ("Incident", "NodeSensor")
    answer = client.create(fenced(written) if of_operator else written, user=OPERATOR if of_operator else "", dry_run=False)
    assert answer.taken, answer.message
    if status is not None:
        answer = client.merge(answer.object, {"status": status | {"epoch": EPOCH}}, subresource="status", user=OPERATOR, dry_run=False)
        assert answer.taken, answer.message
    return answer.object


def an_incident_status(**fields: Any) -> dict[str, Any]:
    """Of an open incident that is a few minutes old."""
    status = deepcopy(FULL_STATUSES["Incident"])
    times = {"began": moment(minutes=12), "recorded": moment(minutes=12), "detected": moment(minutes=11)}
    closed = said(("Closed", False, "GoingOn", ""), ("Contained", False, "NoAction", ""))
    return status | {"times": times, "lastDetectedAt": moment(minutes=3), "conditions": closed} | fields


def incident(client: ApiClient, name: str, *, namespace: str = "watchkeeper", spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return make(client, renamed(an_incident(namespace=namespace, **(spec or {})), name), an_incident_status(**status))


def a_bad_night(client: ApiClient) -> None:
    """Three incidents, of which one is a tenant's and one closed; two nodes, of which one is silent; a policy that is wrong; a log with a gap and blind rules."""
    incident(client, "inc-00000000000000aa")
    incident(client, "inc-00000000000000bb", severity="P3", title=f"File {HOSTILE} written", spec={"owner": "storage team"})
    incident(client, "inc-00000000000000cc", spec={"disposition": "Benign", "note": "the backup"}, conditions=said(("Closed", True, "Disposed", "")))
    incident(client, "inc-00000000000000dd", namespace="shop", severity="P2", title="Shell in shop")
    make(client, renamed(a_sensor(), "all-nodes"), _sensor_status())
    make(client, a_node_sensor(name="n1", sensor="all-nodes"), _node_status(reports=True))
    make(client, a_node_sensor(name="n2", sensor="all-nodes"), _node_status(reports=False))
    make(client, renamed(a_log_source(), "control-plane"), _log_status())
    make(client, renamed(a_policy(), "good"), _policy_status())
    make(client, renamed(a_policy(), "wrong"), {"conditions": said(("Accepted", False, "Invalid", WRONG), ("InForce", False, "NotAccepted", ""))})


WRONG = "spec.rules[0].when: there is no field audit.verbs; did you mean audit.verb?"


def _sensor_status() -> dict[str, Any]:
    failing = [{"node": "n2", "reason": "silent since 02:10"}]
    conditions = said(("Accepted", True, "Valid", ""), ("Ready", False, "SomeNotReporting", "1 of 2 nodes report"))
    return {"version": "0.1.0", "nodes": {"selected": 2, "reporting": 1, "current": 1, "blind": 0, "failing": failing}, "conditions": conditions}


def _node_status(*, reports: bool) -> dict[str, Any]:
    connected = ("Connected", reports, "Reporting" if reports else "Silent", "")
    conditions = said(connected, ("InForce", True, "Current", ""), ("Seeing", True, "Unhindered", ""))
    return {"version": "0.1.0", "heardAt": moment(minutes=0 if reports else 40), "conditions": conditions}


def _log_status() -> dict[str, Any]:
    blind = [{"policy": "watchkeeper/k8s-pod-exec", "rule": "exec-in-pod", "reason": "pods/exec is not logged"}]
    return {
        "lastRecordAt": moment(seconds=5),
        "lagMilliseconds": 400,
        "missing": 1,
        "gaps": [{"since": moment(minutes=50), "until": moment(minutes=45), "reason": "the API server dropped events", "records": 120}],
        "coverage": {"testedAt": moment(minutes=1), "sent": 12, "arrived": 11, "rules": 40, "blind": 1, "blindRules": blind},
        "conditions": said(
            ("Accepted", True, "Valid", ""), ("Receiving", True, "Arriving", ""), ("Complete", False, "Gaps", ""), ("Covered", False, "BlindRules", "")
        ),
    }


def _policy_status() -> dict[str, Any]:
    conditions = said(("Accepted", True, "Compiled", ""), ("InForce", True, "OnAllNodes", "on 2 of 2 nodes"))
    return {"nodes": {"total": 2, "inForce": 2}, "inForce": {"generation": 1, "revision": "1f0c", "since": moment(hours=2)}, "conditions": conditions}
