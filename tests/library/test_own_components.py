"""Exceptions that ship: what our own components do is held back, and the same by anybody else, or for anything else, is not."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path

import pytest

from watchkeeper_cli.cases import Case, CaseJudge
from watchkeeper_cli.policy_set import library, load_set, read_files
from watchkeeper_detection.checking import check_policies

EXCEPTIONS = Path(__file__).parents[2] / "manifests" / "components" / "library" / "exceptions.yaml"
POLICIES = (
    "k8s-sensitive-host-path",
    "k8s-dangerous-capabilities",
    "k8s-host-pid-pod",
    "container-strong-start",
    "linux-bpf-program-loaded",
    "k8s-namespace-changed",
)
SYSTEM = "watchkeeper-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:watchkeeper-act"
CONTROLLER = "system:serviceaccount:kube-system:daemon-set-controller"
SENSOR = {
    "serviceAccountName": "watchkeeper-sensor",
    "hostPID": True,
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "containers": [{"name": "sensor", "image": "sensor", "securityContext": {"capabilities": {"add": ["SYS_ADMIN", "BPF"]}}}],
}


@cache
def judge():
    loaded = load_set(read_files([library() / "lists", *(path for path in library().rglob("*.yaml") if path.stem in POLICIES), EXCEPTIONS]))
    checked = check_policies(loaded.documents)
    assert [str(error) for error in (*loaded.errors, *checked.errors)] == []
    return CaseJudge(checked.program)


def found(event, source=None):
    return {one.policy for one in judge().outcome(Case("", events=[event], source=source), "fires").detections if one.severity < "P4"}


def asked(user, resource, namespace=SYSTEM, spec=SENSOR, name="sensor-all-nodes"):
    body = {"kind": "Pod", "metadata": {"name": name}, "spec": spec}
    if resource == "daemonsets":
        body = {"kind": "DaemonSet", "metadata": {"name": name}, "spec": {"template": {"spec": spec}}}
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Request",
        "auditID": "00000000-0000-4000-8000-000000000001",
        "stage": "ResponseComplete",
        "requestURI": f"/apis/apps/v1/namespaces/{namespace}/{resource}",
        "verb": "create",
        "user": {"username": user, "groups": ["system:authenticated"]},
        "sourceIPs": ["192.0.2.7"],
        "userAgent": "watchkeeper",
        "objectRef": {"resource": resource, "namespace": namespace, "name": name},
        "responseStatus": {"code": 201},
        "requestObject": body,
        "requestReceivedTimestamp": "2026-03-12T02:46:00.000000Z",
        "stageTimestamp": "2026-03-12T02:46:00.000000Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }


def with_account(name):
    return {**copy.deepcopy(SENSOR), "serviceAccountName": name}


@pytest.mark.parametrize(("user", "resource"), [(OPERATOR, "daemonsets"), (CONTROLLER, "pods")])
def test_the_sensor_is_made_without_a_word(user, resource):
    assert found(asked(user, resource)) == set()


@pytest.mark.parametrize(
    "event",
    [
        asked("kubernetes-admin", "daemonsets"),
        asked(f"system:serviceaccount:{SYSTEM}:watchkeeper-sensor", "daemonsets"),
        asked(OPERATOR, "pods"),
        asked(OPERATOR, "daemonsets", namespace="kube-public"),
        asked(OPERATOR, "daemonsets", spec=with_account("watchkeeper-act")),
        asked(CONTROLLER, "pods", namespace="shop"),
        asked(CONTROLLER, "pods", spec=with_account("default")),
    ],
    ids=json.dumps,
)
def test_by_others_and_for_others_the_same_is_told(event):
    assert {"k8s-sensitive-host-path", "k8s-dangerous-capabilities", "k8s-host-pid-pod"} <= found(event)


def a_start(namespace=SYSTEM, account="watchkeeper-sensor", container="sensor"):
    return {
        "kind": "container.start",
        "observed_at": "2026-03-01T01:47:07.847333Z",
        "id": "8c1d2e3f:0:107",
        "process": {"process_id": 4106, "exe": "/usr/bin/python3.11", "args": ["python"], "name": "python", "uid": 0, "entered_container": False},
        "container": {"id": "3f" * 32, "name": container, "type": "container", "privileged": False, "host_process": True, "mount_sources": ["/"]},
        "pod": {"name": "sensor-all-nodes-x2x7k", "namespace": namespace, "uid": "5f0c7d2e-3b1a-4c8d-9e6f-2a7b4c1d8e90", "service_account": account},
    }


def test_a_sensors_container_starts_without_a_word_and_another_with_the_same_rights_does_not():
    assert found(a_start(), "kernel") == set()
    for other in (a_start(namespace="shop"), a_start(account="default"), a_start(container="main")):
        assert found(other, "kernel") == {"container-strong-start"}


@pytest.mark.parametrize(("namespace", "policies"), [(SYSTEM, set()), ("shop", {"k8s-namespace-changed"})])
def test_only_our_own_namespace_lets_privileged_pods_in_without_a_word(namespace, policies):
    event = asked("kubernetes-admin", "namespaces", name=namespace) | {"verb": "patch"}
    event["requestObject"] = {"kind": "Namespace", "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    event["objectRef"] = {"resource": "namespaces", "namespace": namespace, "name": namespace}
    assert found(event) == policies
