"""A Sensor → the DaemonSet that runs it. No I/O: the same Sensor makes the same object.

What its pod may do on the node is in PRIVILEGES and MOUNTS, each with the reason; docs/sensor.md says it to users.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_operator.names import (
    APPLIED_ANNOTATION,
    CA_BUNDLE,
    COLLECTOR_AUDIENCE,
    COLLECTOR_SERVICE,
    GROUP,
    SENSOR_ACCOUNT,
    SENSOR_LABEL,
    SYSTEM_NAMESPACE,
    VERSION,
)
from watchkeeper_operator.selectors import terms_without

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_operator.shapes import Object

PRIVILEGES = {
    "BPF": "load and attach the sensor's programs, and hold maps",
    "PERFMON": "programs that trace, and read kernel memory by type",
    "NET_ADMIN": "programs of network kinds",
    "SYS_ADMIN": "the same on kernels before 5.8; the host's cgroup namespace, from which paths of containers are read",
    "SYS_RESOURCE": "locked memory of maps on kernels before 5.11",
    "SYS_PTRACE": "what already runs: /proc/PID of all processes, and files as these see them",
    "DAC_READ_SEARCH": "files of container runtimes and packages, whoever owns them",
    "SYS_NICE": "goes before other programs, so that a busy node does not make it blind; given up after the start",
    "SETPCAP": "gives up what it does not need after the start",
}
HOST = "/host"
STATE = "/var/lib/watchkeeper"
TOKENS, CA = "/var/run/secrets/watchkeeper", "/etc/watchkeeper/ca"
TOKEN_SECONDS = 3600
REQUESTS = {"cpu": "50m", "memory": "96Mi"}
LIMITS = {"memory": "512Mi"}
PART_OF = {"app.kubernetes.io/name": "watchkeeper-sensor", "app.kubernetes.io/part-of": "watchkeeper"}
PROBE = ["python", "-I", "-m", "watchkeeper_sensor.cluster.probe", STATE]


@dataclass(frozen=True, slots=True)
class Image:
    """What is run; `version` is what it is called in status."""

    name: str
    version: str


def name_of(sensor: str) -> str:
    return f"sensor-{sensor}"


def daemon_set(sensor: Object, older: Iterable[Object], image: Image) -> dict[str, Any] | None:
    """`older`: Sensors that have first call on a node. None where their selectors make too many terms."""
    terms = terms_without(sensor.spec.get("nodeSelector"), [one.spec.get("nodeSelector") for one in older])
    if terms is None:
        return None
    labels = {**PART_OF, SENSOR_LABEL: sensor.metadata.name}
    spec = {
        "selector": {"matchLabels": {SENSOR_LABEL: sensor.metadata.name}},
        "revisionHistoryLimit": 3,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},  # the new one watches before the old one ends
        "minReadySeconds": 5,
        "template": {
            "metadata": {"labels": labels, "annotations": {"kubectl.kubernetes.io/default-container": "sensor"}},
            "spec": pod_spec(sensor.spec, terms, image),
        },
    }
    owner = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Sensor", "name": sensor.metadata.name, "uid": sensor.metadata.uid, "controller": True}
    made = {
        "metadata": {
            "name": name_of(sensor.metadata.name),
            "namespace": SYSTEM_NAMESPACE,
            "labels": labels,
            "ownerReferences": [owner],  # the API server's collector removes it with the Sensor
        },
        "spec": spec,
    }
    made["metadata"]["annotations"] = {APPLIED_ANNOTATION: digest(made)}  # type: ignore[index]  # just made
    return made


def digest(made: Mapping[str, Any]) -> str:
    return hashlib.blake2b(msgspec.json.encode(made, order="deterministic"), digest_size=12).hexdigest()


def pod_spec(spec: Mapping[str, Any], terms: list[list[dict[str, Any]]], image: Image) -> dict[str, Any]:
    tolerations = spec.get("tolerations")
    made: dict[str, Any] = {
        "serviceAccountName": SENSOR_ACCOUNT,
        "automountServiceAccountToken": False,  # it has no rights: the one token it gets is for the collector
        "enableServiceLinks": False,
        "hostPID": True,  # events name processes as the node does
        "priorityClassName": "system-node-critical",
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "appArmorProfile": {"type": "Unconfined"}, "seLinuxOptions": {"type": "spc_t"}},
        "tolerations": [{"operator": "Exists"}] if tolerations is None else list(tolerations),
        "containers": [container(spec, image)],
        "volumes": volumes(),
    }
    if terms != [[]]:
        made["affinity"] = node_affinity(terms)
    return made


def node_affinity(terms: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """No terms: no node. An affinity can't say that but by asking for what can't be."""
    never = [{"key": "kubernetes.io/hostname", "operator": "Exists"}, {"key": "kubernetes.io/hostname", "operator": "DoesNotExist"}]
    written = [{"matchExpressions": term} for term in terms or [never]]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": written}}}


def container(spec: Mapping[str, Any], image: Image) -> dict[str, Any]:
    asked = spec.get("resources") or {}
    return {
        "name": "sensor",
        "image": image.name,
        "args": ["sensor"],
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "WATCHKEEPER_COLLECTOR", "value": f"https://{COLLECTOR_SERVICE}.{SYSTEM_NAMESPACE}.svc"},
            {"name": "WATCHKEEPER_ROOT", "value": HOST},
            {"name": "WATCHKEEPER_STATE", "value": STATE},
        ],
        "resources": {"requests": REQUESTS | (asked.get("requests") or {}), "limits": LIMITS | (asked.get("limits") or {})},
        "securityContext": {
            "runAsUser": 0,  # loading programs takes root, beside the capabilities
            "runAsGroup": 0,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": sorted(PRIVILEGES)},
        },
        "volumeMounts": [
            {"name": "host", "mountPath": HOST, "readOnly": True, "mountPropagation": "HostToContainer"},
            {"name": "state", "mountPath": STATE},
            {"name": "token", "mountPath": TOKENS, "readOnly": True},
            {"name": "ca", "mountPath": CA, "readOnly": True},
            {"name": "temporary", "mountPath": "/tmp"},  # noqa: S108 (the pod's own, in memory)
        ],
        "startupProbe": {"exec": {"command": PROBE}, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {"exec": {"command": PROBE}, "periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": {"exec": {"command": [*PROBE, "120"]}, "periodSeconds": 30, "timeoutSeconds": 10, "failureThreshold": 2},
    }


def volumes() -> list[dict[str, Any]]:
    """`host`: files of programs that ran, of packages, container runtimes and cgroups; with hostPID and SYS_PTRACE a narrower mount would only look like less."""
    token = {"serviceAccountToken": {"audience": COLLECTOR_AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": "token"}}
    return [
        {"name": "host", "hostPath": {"path": "/", "type": "Directory"}},
        {"name": "state", "hostPath": {"path": STATE, "type": "DirectoryOrCreate"}},  # what was found is on disk before it is delivered, over upgrades too
        {"name": "token", "projected": {"defaultMode": 0o400, "sources": [token]}},
        {"name": "ca", "configMap": {"name": CA_BUNDLE, "defaultMode": 0o444}},
        {"name": "temporary", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
    ]
