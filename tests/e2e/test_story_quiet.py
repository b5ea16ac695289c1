"""Ordinary work and our own installation page nobody: what people deploy, scale and look at is P3 at most, and what the cluster does of it is no incident."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.cluster.installation import SYSTEM, eventually
from tests.support.cluster.workloads import Workloads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.cluster.installation import Installation

SECONDS = 120
WATCHED_SECONDS = 60.0  # after the last of the work: far more than what is found needs to become an incident
GRAVE = ("P1", "P2")
OWN = (
    *(f"system:serviceaccount:{SYSTEM}:watchkeeper-{name} " for name in ("act", "observe", "sensor")),
    f"daemonsets {SYSTEM}/sensor-",
    f"pods {SYSTEM}/sensor-all-nodes-*",
    "watchkeeper_sensor.cluster.probe",
    "runc in sensor ",
    "container sensor ",
)


def incidents(installation: Installation) -> list[dict[str, Any]]:
    return [one["status"] for one in installation.objects("incidents", "--namespace", "watchkeeper") if "status" in one]


def about(status: dict[str, Any], *words: str) -> bool:
    """Whether one of its entities, or a line of its timeline that is a detection, names one of them."""
    told = [one["message"] for one in status.get("timeline", ()) if one["what"] == "detection"]
    named = [f"{one['id']} {one.get('name', '')}" for one in status.get("entities", ())]
    return any(word in text for text in (*told, *named) for word in words)


def lines(status: dict[str, Any], *words: str, since: str = "") -> list[str]:
    """Its detections of P1 and P2 that name one of the words."""
    told = (one for one in status.get("timeline", ()) if one["what"] == "detection" and one["severity"] in GRAVE and one["at"] >= since)
    return [f"{one['severity']} {one['policy']} {one['rule']}: {one['message']}" for one in told if any(word in one["message"] for word in words)]


def graves(installation: Installation, *words: str) -> list[str]:
    """Incidents of P1 and P2 that have these, or are about nothing else."""
    found = []
    for status in incidents(installation):
        told = lines(status, *words)
        if status["severity"] in GRAVE and (told or any(word in status["title"] for word in words)):
            found.append(f"{status['severity']} {status['title']}: {told}")
    return found


def agent(name: str, image: str, **spec: Any) -> dict[str, Any]:
    """A DaemonSet as exporters, log shippers and network plugins are."""
    container = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["/bin/busybox", "sleep", "100000"], **spec.pop("container", {})}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def a_day_of_teams(work: Workloads) -> None:
    work.deploy("shop")
    work.kubectl("scale", "deployment/shop", "--replicas=4")
    work.kubectl("rollout", "status", "deployment/shop", f"--timeout={SECONDS}s")
    work.kubectl("rollout", "restart", "deployment/shop")
    work.kubectl("rollout", "status", "deployment/shop", f"--timeout={SECONDS}s")
    job = {"spec": {"template": {"spec": work.pod("x", restartPolicy="Never", container={"command": ["/bin/busybox", "true"]})["spec"]}}}
    cron = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tidy"}, "spec": {"schedule": "* * * * *", "jobTemplate": job}}
    work.apply(cron)
    work.kubectl("create", "job", "tidy-now", "--from=cronjob/tidy")
    work.kubectl("wait", "--for=condition=Complete", f"--timeout={SECONDS}s", "job/tidy-now")
    probed = work.pod("probed", container={"readinessProbe": {"exec": {"command": ["/bin/busybox", "true"]}, "periodSeconds": 1}})
    work.apply(probed)
    work.await_ready("probed")
    work.kubectl("logs", "probed")
    work.kubectl("scale", "deployment/shop", "--replicas=0")


def a_release(work: Workloads) -> None:
    """As a chart is applied: accounts, roles, secrets, settings, services and workloads in one go."""
    objects: list[dict[str, Any]] = []
    for number in range(10):
        meta = {"name": f"part-{number}"}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": meta["name"]}
        subject = {"kind": "ServiceAccount", "name": meta["name"], "namespace": work.namespace}
        rules = [{"apiGroups": [""], "resources": ["configmaps", "endpoints"], "verbs": ["get", "list", "watch"]}]
        objects += [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"level": "info"}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"password": uuid.uuid4().hex}},
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": {"app": meta["name"]}, "ports": [{"port": 80}]}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rules},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": meta, "roleRef": role, "subjects": [subject]},
        ]
    work.apply(*objects, *(work.deployment(f"part-{number}", serviceAccountName=f"part-{number}") for number in range(3)))
    for number in range(3):
        work.kubectl("rollout", "status", f"deployment/part-{number}", f"--timeout={SECONDS}s")


def agents(work: Workloads) -> None:
    """An exporter, an ingress controller and a network plugin, by what their pods ask of a node."""
    exporter = agent("exporter", work.image, hostNetwork=True, hostPID=True, volumes=[{"name": "root", "hostPath": {"path": "/"}}])
    exporter["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [{"name": "root", "mountPath": "/host", "readOnly": True}]
    ingress = agent("ingress", work.image, hostNetwork=True, container={"securityContext": {"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}})
    plugin = agent("plugin", work.image, hostNetwork=True, volumes=[{"name": "cni", "hostPath": {"path": "/etc/cni/net.d"}}])
    plugin["spec"]["template"]["spec"]["containers"][0] |= {"securityContext": {"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}}
    work.apply(exporter, ingress, plugin)
    for name in ("exporter", "ingress", "plugin"):
        work.kubectl("rollout", "status", f"daemonset/{name}", f"--timeout={SECONDS}s")


@pytest.fixture(scope="module")
def worked(installation: Installation, busybox: str) -> Iterator[dict[str, Workloads]]:
    """All of it, each in a namespace of its own, and watched for a minute, or until something grave names one of these."""
    works = {kind.__name__: Workloads(installation.cluster, f"quiet-{uuid.uuid4().hex[:8]}", busybox) for kind in (a_day_of_teams, a_release, agents)}
    try:
        for kind in (agents, a_release, a_day_of_teams):
            work = works[kind.__name__]
            installation.kubectl("create", "namespace", work.namespace)
            kind(work)
        end = time.monotonic() + WATCHED_SECONDS
        while time.monotonic() < end and not any(graves(installation, work.namespace) for work in works.values()):
            time.sleep(2)
        yield works
    finally:
        for work in works.values():
            installation.kubectl("delete", "namespace", work.namespace, "--wait=false", "--ignore-not-found")


@pytest.mark.parametrize("kind", [a_day_of_teams, a_release, agents], ids=lambda kind: kind.__name__)
def test_ordinary_work_raises_nothing_grave(installation: Installation, worked: dict[str, Workloads], kind: Callable[[Workloads], None]) -> None:
    assert graves(installation, worked[kind.__name__].namespace) == []


def test_agents_on_nodes_are_told_for_working_hours_by_the_beginning_of_their_pods_names(installation: Installation, worked: dict[str, Workloads]) -> None:
    name = f"{worked['agents'].namespace}/exporter"
    found = eventually("a pod of the DaemonSet is told", lambda: [one for one in incidents(installation) if about(one, f"pods {name}-*")], SECONDS)
    assert [one["message"] for status in found for one in status["timeline"] if f"{worked['agents'].namespace}/?" in one["message"]] == []
    assert [status["title"] for status in found if "daemon-set-controller" in status["title"]] == []


def started(installation: Installation) -> str:
    """When the operator that runs was started: what is older was told by another."""
    words = ("--namespace", SYSTEM, "--selector", "app.kubernetes.io/name=watchkeeper-operator", "--field-selector=status.phase=Running")
    return max(str(one["status"]["startTime"]) for one in installation.objects("pods", *words))


def test_our_own_installation_is_no_incident_that_anybody_has_to_look_at_today(installation: Installation) -> None:
    """What our accounts ask for, and what the cluster and the runtime do for sensors."""
    since = started(installation)
    assert [line for status in incidents(installation) for line in lines(status, *OWN, since=since)] == []


def test_what_a_source_missed_for_one_cause_is_one_entry_of_an_incident(installation: Installation) -> None:
    since = started(installation)
    for status in incidents(installation):
        missed = [one["message"].partition(",")[0] for one in status.get("timeline", ()) if one["what"] == "blind"]
        assert len(missed) == len(set(missed)) or status["lastDetectedAt"] < since, missed
