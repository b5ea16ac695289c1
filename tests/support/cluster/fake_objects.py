"""Nodes and pods of a large cluster as objects; nothing runs.

Nodes have the label type=fake, a NoSchedule taint, and no kubernetes.io/os label: kube-proxy and kindnet select that one and so pass them by; any other
DaemonSet that tolerates every taint needs nodeAffinity "type NotIn [fake]". Pods are bound by spec.nodeName and have addresses of 100.64.0.0/10, which no real
pod has.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

LABEL = "type=fake"
LABELS = {"type": "fake"}
TAINT = {"key": "watchkeeper.test/fake", "value": "true", "effect": "NoSchedule"}
NAMESPACES = 10
APPS = 50
Object = dict[str, Any]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def renewed() -> Object:
    """Of a lease."""
    return {"renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


def node_name(number: int) -> str:
    return f"fake-{number}"


def namespace_name(number: int) -> str:
    return f"fake-{number % NAMESPACES}"


def _node_address(number: int) -> str:
    return f"100.127.{number >> 8}.{number & 255}"


def _pod_address(number: int) -> str:
    return f"100.{64 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def node(number: int) -> Object:
    now, name = _now(), node_name(number)
    size = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    conditions = [
        {"type": kind, "status": str(kind == "Ready"), "reason": "Fake", "message": "", "lastHeartbeatTime": now, "lastTransitionTime": now}
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    about = {
        "machineID": name,
        "systemUUID": "",
        "bootID": "",
        "kernelVersion": "6.12.0",
        "osImage": "fake",
        "containerRuntimeVersion": "containerd://2.4.2",
        "kubeletVersion": "v1.37.2",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**LABELS, "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"fake-{number % 3}"}},
        "spec": {"taints": [TAINT], "providerID": f"fake://{name}"},
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": conditions,
            "addresses": [{"type": "InternalIP", "address": _node_address(number)}, {"type": "Hostname", "address": name}],
            "nodeInfo": about,
        },
    }


def lease(name: str, uid: str) -> Object:
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "labels": LABELS, "ownerReferences": [owner]},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, **renewed()},
    }


def pod(number: int, nodes: int) -> Object:
    app = f"app-{number % APPS}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"fake-{number}", "labels": {**LABELS, "app": app}},
        "spec": {
            "nodeName": node_name(number % nodes),
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "app", "image": f"registry.example/{app}:1", "ports": [{"containerPort": 8080}]}],
        },
    }


def pod_status(number: int, nodes: int) -> Object:
    """Running and Ready."""
    now, app, address = _now(), number % APPS, _pod_address(number)
    container = {
        "name": "app",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "image": f"registry.example/app-{app}:1",
        "imageID": f"registry.example/app-{app}@sha256:{app:064x}",
        "containerID": f"containerd://{number:064x}",
        "state": {"running": {"startedAt": now}},
    }
    conditions = [{"type": kind, "status": "True", "lastTransitionTime": now} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
    return {
        "phase": "Running",
        "startTime": now,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": _node_address(number % nodes),
        "conditions": conditions,
        "containerStatuses": [container],
    }
