"""Objects of a cluster as commands read them, with defaults of a cluster that is well."""

from __future__ import annotations

from typing import Any

import msgspec

from watchkeeper_cli.clustering.facts import COLLECTOR, OPERATOR, Facts
from watchkeeper_cli.clustering.processes import Deployment, Lease
from watchkeeper_cli.clustering.shapes import Condition, Incident, LogSource, NodeSensor, Policy, Sensor
from watchkeeper_detection.logs.provider import time_ns
from watchkeeper_operator.shapes import Named

NOW = time_ns("2026-11-25T02:00:00Z")
JUST_NOW = "2026-11-25T01:59:55Z"


def said(**conditions: tuple[bool | None, str]) -> tuple[Condition, ...]:
    """Type → status and reason."""
    return tuple(Condition(type_, "Unknown" if holds is None else str(holds), reason) for type_, (holds, reason) in conditions.items())


def _made(shape: Any, name: str, namespace: str, **parts: Any) -> Any:
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": "2026-11-25T01:00:00Z"}
    return msgspec.convert({"metadata": metadata, **msgspec.to_builtins(parts)}, shape)


def a_deployment(name: str = OPERATOR, *, replicas: int = 1, ready: int = 1, store: str = "", image: str = "watchkeeper:0.1.0") -> Deployment:
    environment = [{"name": "WATCHKEEPER_STORE", "value": store}] if store else []
    container = {"name": "operator", "image": image, "env": environment, "args": ["operator"]}
    made: Deployment = _made(
        Deployment,
        name,
        "watchkeeper-system",
        spec={"replicas": replicas, "template": {"spec": {"containers": [container]}}},
        status={"readyReplicas": ready},
    )
    return made


def a_lease(*, holder: str = "operator-1", renewed: str = JUST_NOW) -> Lease:
    spec = {"holderIdentity": holder, "leaseTransitions": 7, "acquireTime": "2026-11-25T00:00:00Z", "renewTime": renewed}
    return msgspec.convert({"spec": spec}, Lease)


WELL = said(Accepted=(True, "Valid"), Ready=(True, "AllReporting"))
SEES = said(Connected=(True, "Reporting"), Seeing=(True, "Unhindered"))
HEARS = said(Accepted=(True, "Valid"), Receiving=(True, "Arriving"), Complete=(True, "NoGaps"), Covered=(True, "AllRules"))
HOLDS = said(Accepted=(True, "Compiled"), InForce=(True, "OnAllNodes"))


def a_sensor(**status: Any) -> Sensor:
    made: Sensor = _made(
        Sensor, "all-nodes", "", status={"version": "0.1.0", "nodes": {"selected": 1, "reporting": 1, "current": 1}, "conditions": WELL} | status
    )
    return made


def a_node_sensor(name: str = "n1", **status: Any) -> NodeSensor:
    made: NodeSensor = _made(NodeSensor, name, "", status={"heardAt": JUST_NOW, "conditions": SEES} | status)
    return made


def a_log_source(**status: Any) -> LogSource:
    coverage = {"testedAt": JUST_NOW, "sent": 12, "arrived": 12, "rules": 40, "blind": 0}
    made: LogSource = _made(LogSource, "control-plane", "", status={"lastRecordAt": JUST_NOW, "coverage": coverage, "conditions": HEARS} | status)
    return made


def a_policy(name: str = "k8s-pod-exec", *, namespace: str = "watchkeeper", **status: Any) -> Policy:
    nodes = {"total": 1, "inForce": 1}
    made: Policy = _made(Policy, name, namespace, spec={"title": "Command run in a pod", "rules": [{}]}, status={"nodes": nodes, "conditions": HOLDS} | status)
    return made


def an_incident(name: str = "inc-1", *, namespace: str = "watchkeeper", spec: dict[str, Any] | None = None, **status: Any) -> Incident:
    entities = [{"role": "actor", "kind": "pod", "id": "5f0c", "name": "shop/web-1", "detections": 3}, {"role": "identity", "kind": "identity", "id": "alice"}]
    usual = {"title": "Shell in a pod", "severity": "P2", "detections": 3, "lastDetectedAt": JUST_NOW, "entities": entities}
    made: Incident = _made(Incident, name, namespace, spec=spec or {}, status=usual | status)
    return made


def facts(**parts: Any) -> Facts:
    """Of a cluster where all is well."""
    usual: dict[str, Any] = {
        "sensors": [a_sensor()],
        "node_sensors": [a_node_sensor()],
        "nodes": [msgspec.convert({"metadata": {"name": "n1"}}, Named)],
        "log_sources": [a_log_source()],
        "policies": [a_policy()],
        "incidents": [],
        "deployments": {OPERATOR: a_deployment(), COLLECTOR: a_deployment(COLLECTOR)},
        "lease": a_lease(),
        "paused": None,
    }
    return Facts(**(usual | parts))
