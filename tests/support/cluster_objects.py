"""Objects of the cluster's own kinds that must be accepted and refused, by sentence: one table for the models, the CRDs and a real API server."""

from __future__ import annotations

from typing import Any

from watchkeeper_operator.names import EPOCH_ANNOTATION

ADMINISTRATOR = "administrator"  # who asks in tests of a real API server, unless told otherwise
UID = "5f0c1a2e-7d2b-4f9e-9a1c-0d1e2f3a4b5c"
DIGEST = "sha256:" + "0123456789abcdef" * 4
MOMENT = "2026-11-25T10:00:00.25Z"


def an_object(kind: str, spec: dict[str, Any] | None = None, *, name: str = "one", **metadata: Any) -> dict[str, Any]:
    """None among the fields of `spec` leaves one out."""
    fields = {word: value for word, value in (spec or {}).items() if value is not None}
    return {"apiVersion": "watchkeeper.dev/v1alpha1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": fields}


def a_sensor(**spec: Any) -> dict[str, Any]:
    return an_object("Sensor", spec)


def a_node_sensor(*, name: str = "node-1.example", **spec: Any) -> dict[str, Any]:
    return an_object("NodeSensor", {"sensor": "all"} | spec, name=name)


def a_log_source(**spec: Any) -> dict[str, Any]:
    return an_object("LogSource", {"type": "AuditWebhook"} | spec)


def an_incident(*, namespace: str = "watchkeeper", **spec: Any) -> dict[str, Any]:
    return an_object("Incident", spec, namespace=namespace)


def an_action(*, namespace: str = "watchkeeper", name: str = "one", **spec: Any) -> dict[str, Any]:
    usual = {"action": "IsolatePod", "target": a_target(namespace="shop"), "reason": "a shell runs in it", "requester": ADMINISTRATOR}
    return an_object("ResponseAction", usual | spec, namespace=namespace, name=name)


def a_target(**fields: Any) -> dict[str, Any]:
    target = {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": UID} | fields
    return {word: value for word, value in target.items() if value is not None}


def an_approval(*, namespace: str = "watchkeeper", **spec: Any) -> dict[str, Any]:
    usual = {"action": "one", "actionUID": UID, "planDigest": DIGEST, "decision": "Approve", "approver": ADMINISTRATOR}
    return an_object("ResponseApproval", usual | spec, namespace=namespace)


def fenced(written: dict[str, Any], epoch: int = 7) -> dict[str, Any]:
    """As the operator writes it while its Lease is in that epoch."""
    return {**written, "metadata": {**written["metadata"], "annotations": {EPOCH_ANNOTATION: str(epoch)}}}


CONDITION = {"type": "Accepted", "status": "True", "reason": "Compiled", "message": "", "lastTransitionTime": MOMENT, "observedGeneration": 3}
FULL_STATUSES: dict[str, dict[str, Any]] = {
    "RuntimePolicy": {
        "nodes": {"total": 500, "inForce": 498, "failing": [{"node": "node-1.example", "reason": "silent"}, {"reason": "kernel without BTF"}]},
        "inForce": {"generation": 2, "revision": "1f0c", "since": MOMENT},
    },
    "PolicyException": {"nodes": {"total": 1, "inForce": 1}, "heldBack": 12, "lastHeldBack": MOMENT},
    "PolicyList": {},
    "Sensor": {
        "version": "0.1.0",
        "nodes": {"selected": 3, "reporting": 2, "current": 2, "blind": 1, "failing": [{"node": "n1", "reason": "ImagePullBackOff"}]},
    },
    "NodeSensor": {
        "version": "0.1.0",
        "kernel": "6.18.0",
        "startedAt": MOMENT,
        "heardAt": MOMENT,
        "memoryBytes": 83_886_080,
        "policies": {"revision": "1f0c", "policies": 98, "rules": 120, "refused": 1, "notInForce": [{"policy": "shop/mine", "reason": "unknown field"}]},
        "hooks": {"attached": 40, "missing": ["lsm/bpf"]},
        "blindSpots": ["no LSM programs"],
        "lost": [{"cause": "ring_full", "records": 12}],
        "delivery": {"delivered": 100, "waiting": 1},
    },
    "LogSource": {
        "lastRecordAt": MOMENT,
        "records": 1,
        "recordsPerSecond": 20,
        "refused": 0,
        "truncated": 1,
        "lagMilliseconds": 500,
        "missing": 1,
        "gaps": [{"since": MOMENT, "until": MOMENT, "reason": "the collector was down", "records": 4}, {"since": MOMENT, "reason": "silent"}],
        "coverage": {
            "testedAt": MOMENT,
            "sent": 12,
            "arrived": 11,
            "slowestMilliseconds": 800,
            "rules": 40,
            "blind": 1,
            "blindRules": [{"policy": "watchkeeper/k8s-pod-exec", "rule": "exec-in-pod", "reason": "pods/exec is not logged"}],
            "untested": ["levels that depend on groups"],
        },
    },
    "Incident": {
        "title": "Shell in a pod",
        "summary": "P1: the pod reaches secrets.",
        "severity": "P1",
        "confidence": "high",
        "detections": 3,
        "lastDetectedAt": MOMENT,
        "times": dict.fromkeys(("began", "recorded", "received", "detected", "acknowledged", "declared", "contained", "eradicated", "closed"), MOMENT),
        "policies": ["watchkeeper/k8s-pod-exec"],
        "attack": ["T1609"],
        "entities": [{"role": "target", "kind": "pod", "id": UID, "name": "shop/web-1", "detections": 3}],
        "timeline": [
            {
                "at": MOMENT,
                "what": "detection",
                "policy": "watchkeeper/k8s-pod-exec",
                "rule": "exec-in-pod",
                "severity": "P1",
                "message": "alice ran sh",
                "count": 2,
                "detection": "0f1e2d",
            },
            {"at": MOMENT, "what": "blind", "message": "node-2 was silent", "count": 1},
        ],
        "entitiesLeftOut": 0,
        "entriesLeftOut": 4,
        "nextSteps": ["Ask alice."],
        "blindSpots": ["pods/exec is not logged"],
        "related": ["shop/two"],
    },
    "ResponseAction": {
        "plan": {"digest": DIGEST, "madeAt": MOMENT, "changes": "+ NetworkPolicy shop/one", "blastRadius": ["1 of 3 pods of Deployment web"]},
        "approvals": 1,
        "executedAt": MOMENT,
        "verifiedAt": MOMENT,
        "expiresAt": MOMENT,
        "finishedAt": MOMENT,
        "staysOpen": ["its own node"],
    },
    "ResponseApproval": {},
}
for _status in FULL_STATUSES.values():
    _status |= {"observedGeneration": 3, "epoch": 7, "conditions": [CONDITION]}

ACCEPTED: dict[str, dict[str, Any]] = {
    "a sensor of all nodes": a_sensor(),
    "a sensor that says everything": a_sensor(
        nodeSelector={"matchLabels": {"pool": "a"}, "matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]},
        tolerations=[{"operator": "Exists"}, {"key": "dedicated", "value": "db", "effect": "NoSchedule"}, {"key": "a", "operator": "Equal"}],
        resources={"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "0.5Gi"}},
        eventKinds=["process.*", "network.connect"],
        limits={"recordsPerSecond": 20_000},
    ),
    "a sensor that tolerates no taint": a_sensor(tolerations=[]),
    "the state of a node whose name has dots": a_node_sensor(),
    "the state of a node with the longest name": a_node_sensor(name="a" * 253),
    "audit events by webhook": a_log_source(silentAfter="5m"),
    "audit events in files": a_log_source(type="AuditFile", auditFile={"paths": ["/var/log/kubernetes/audit/*.log"]}),
    "an incident that nobody has judged": an_incident(),
    "an incident that was judged": an_incident(disposition="FalsePositive", owner="storage team", note="the backup", closed=True),
    "an action of a person": an_action(),
    "an action that says everything": an_action(
        parameters=[{"name": "profile", "value": "contain"}],
        incident="shell-in-pod-1",
        attempt=2,
        approvals={"count": 2, "within": "1h"},
        dryRunOnly=True,
        ttl="2h",
        onExpiry="Ask",
        ttlSecondsAfterFinished=0,
    ),
    "an action on what lies in no namespace": an_action(action="CordonNode", target={"kind": "Node", "name": "node-1.example", "uid": UID}),
    "an action on an object whose name has a colon": an_action(
        action="UnbindRole", target={"kind": "ClusterRoleBinding", "name": "system:shop-admin", "uid": UID}
    ),
    "an approval": an_approval(),
    "a denial with its reason": an_approval(decision="Deny", reason="it is the backup"),
}

# What is refused, and words of what the API server says.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a sensor with a field that is none": (a_sensor(nodes="all"), 'unknown field "spec.nodes"'),
    "a sensor with a rate as text": (a_sensor(limits={"recordsPerSecond": "20000"}), "must be of type integer"),
    "a sensor with a rate of one": (a_sensor(limits={"recordsPerSecond": 1}), "greater than or equal to 100"),
    "a sensor with memory as a number": (a_sensor(resources={"limits": {"memory": 512}}), "must be of type string"),
    "a sensor with memory in words": (a_sensor(resources={"limits": {"memory": "half"}}), "should match"),
    "a sensor with a kind that is none": (a_sensor(eventKinds=["everything"]), "should match"),
    "a sensor with the same kind twice": (a_sensor(eventKinds=["file.*", "file.*"]), "Duplicate value"),
    "a toleration of a value that has to be there": (
        a_sensor(tolerations=[{"operator": "Exists", "key": "a", "value": "b"}]),
        "with operator Exists a toleration has no value",
    ),
    "a toleration of nothing": (a_sensor(tolerations=[{"value": "b"}]), "a toleration without key needs operator Exists"),
    "a toleration with an effect that is none": (a_sensor(tolerations=[{"operator": "Exists", "effect": "Never"}]), "Unsupported value"),
    "a sensor whose selector gives values with Exists": (
        a_sensor(nodeSelector={"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}),
        "values are given with operator In and NotIn",
    ),
    "a sensor of a label that can't be": (a_sensor(nodeSelector={"matchLabels": {"pool": "a b"}}), "should match"),
    "a sensor of a label's key that can't be": (a_sensor(nodeSelector={"matchExpressions": [{"key": "a/b/c", "operator": "Exists"}]}), "should match"),
    "a toleration of a taint that can't be": (a_sensor(tolerations=[{"operator": "Exists", "key": "a b"}]), "should match"),
    "a sensor without a spec": ({word: part for word, part in a_sensor().items() if word != "spec"}, "spec: Required value"),
    "the state of a node without its sensor": (a_node_sensor(sensor=None), "spec.sensor: Required value"),
    "the state of a node in capitals": (a_node_sensor(name="Node-1"), "metadata.name"),
    "files without paths": (a_log_source(type="AuditFile"), "auditFile is given with type AuditFile, and only with it"),
    "paths beside a webhook": (a_log_source(auditFile={"paths": ["/var/log/audit.log"]}), "auditFile is given with type AuditFile, and only with it"),
    "a path that begins elsewhere": (a_log_source(type="AuditFile", auditFile={"paths": ["audit.log"]}), "should match"),
    "no path at all": (a_log_source(type="AuditFile", auditFile={"paths": []}), "should have at least 1 items"),
    "a log source of no type": (a_log_source(type=None), "spec.type: Required value"),
    "a log source of a type that is none": (a_log_source(type="Syslog"), "Unsupported value"),
    "an incident that is maybe one": (an_incident(disposition="Maybe"), "Unsupported value"),
    "an incident that is closed in words": (an_incident(closed="yes"), "must be of type boolean"),
    "an incident with a severity of a person": (an_incident(severity="P4"), 'unknown field "spec.severity"'),
    "an action on nothing": (an_action(target=None), "spec.target: Required value"),
    "an action on a name alone": (an_action(target=a_target(uid=None)), "spec.target.uid: Required value"),
    "an action on something that has no uid's form": (an_action(target=a_target(uid="web-1")), "should match"),
    "an action without a reason": (an_action(reason=None), "spec.reason: Required value"),
    "an action of nobody": (an_action(requester=None), "spec.requester: Required value"),
    "an action in small letters": (an_action(action="isolatePod"), "should match"),
    "an action with the same parameter twice": (
        an_action(parameters=[{"name": "profile", "value": "contain"}, {"name": "profile", "value": "observe"}]),
        "Duplicate value",
    ),
    "an action that six people approve": (an_action(approvals={"count": 6}), "less than or equal to 5"),
    "an action that nobody approves": (an_action(approvals={"count": 0}), "greater than or equal to 1"),
    "an action that never ends": (an_action(ttl="0s"), "should match"),
    "an approval of an action by name alone": (an_approval(actionUID=None), "spec.actionUID: Required value"),
    "an approval of whatever the plan is": (an_approval(planDigest="any"), "should match"),
    "an approval that is neither yes nor no": (an_approval(decision="Later"), "Unsupported value"),
}
