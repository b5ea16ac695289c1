"""Whoever steals a sensor's token, or takes a node, gains nothing for the other nodes, and root reads of it."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography import x509
from tests.support.cluster.installation import SYSTEM, eventually
from tests.support.cluster.steps import NoKubernetesError
from tests.support.detections import a_detection
from tests.support.reached_collector import ReachedCollector, reached
from tests.support.sensor_callers import ACCOUNT, a_token
from tests.support.tenants import SECONDS, a_policy, in_root

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.detection import Act
from watchkeeper_detection.node_wire import Delivery, Entry, NodeFeed, Taken
from watchkeeper_detection.policy_loading import load_policies
from watchkeeper_detection.wire import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cluster.installation import Installation

    from watchkeeper_detection.detection import Detection
    from watchkeeper_operator.authority.contexts import Identity


@pytest.fixture
def collector(installation: Installation) -> Iterator[ReachedCollector]:
    with reached(installation) as made:
        yield made


def sensor_pods(installation: Installation) -> list[dict[str, Any]]:
    pods = installation.objects("pods", "--namespace", SYSTEM)
    return [
        pod
        for pod in pods
        if pod["spec"]["serviceAccountName"] == ACCOUNT and any(one["kind"] == "DaemonSet" for one in pod["metadata"].get("ownerReferences", ()))
    ]


def lines_of(installation: Installation, rule: str, word: str) -> list[dict[str, Any]]:
    """What root's incidents say of this rule with the word in it."""
    incidents = installation.incidents("sensor-distrusted")
    entries = [entry for one in incidents for entry in one["status"].get("timeline", ())]
    return [entry for entry in entries if entry.get("rule") == rule and word in entry["message"]]


def counted(lines: list[dict[str, Any]]) -> int:
    return sum(int(line.get("count", 1)) for line in lines)


@pytest.fixture
def lone_node(installation: Installation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of a node whose sensor never started, as nothing runs there, and that sensor's pod: who takes its token is the first to show it."""
    name = f"lone-{uuid.uuid4().hex[:8]}"
    size = {"cpu": "4", "memory": "8Gi", "pods": "20", "ephemeral-storage": "10Gi"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": {"unschedulable": True}}
    installation.kubectl("create", "--filename", "-", stdin=json.dumps(node))
    try:
        patch = {"status": {"capacity": size, "allocatable": size, "conditions": [{"type": "Ready", "status": "True", "reason": "Lone", "message": ""}]}}
        installation.kubectl("patch", "node", name, "--subresource", "status", "--type", "merge", "--patch", json.dumps(patch))

        def bound() -> dict[str, Any] | None:
            return next((pod["metadata"] for pod in sensor_pods(installation) if pod["spec"].get("nodeName") == name), None)

        yield name, eventually("a sensor's pod is bound to the lone node", bound, SECONDS)
    finally:
        installation.kubectl("delete", "node", name)
        for pod in sensor_pods(installation):
            if pod["spec"].get("nodeName") == name:
                with contextlib.suppress(NoKubernetesError):  # collected already
                    installation.kubectl("delete", "pod", pod["metadata"]["name"], "--namespace", SYSTEM, "--force", "--grace-period=0")


def test_a_token_stolen_from_a_running_sensor_is_worth_nothing_and_is_reported(installation: Installation, collector: ReachedCollector) -> None:
    pod = next(one for one in sensor_pods(installation) if one["status"]["phase"] == "Running")
    node = pod["spec"]["nodeName"]
    before = counted(lines_of(installation, "second-certificate", node))
    token = a_token(installation, pod=pod["metadata"])
    status, answer, _ = collector.trade(token)
    assert (status, answer) == (409, b"SecondCertificate")
    eventually("the theft is in an incident of root", lambda: counted(lines_of(installation, "second-certificate", node)) > before, SECONDS)
    assert {line["severity"] for line in lines_of(installation, "second-certificate", node)} == {"P2"}
    for path in ("/v1/feed", "/v1/messages"):
        assert collector.ask("GET", path, None)[0] == 401


def test_tokens_that_are_of_no_sensors_pod_are_worth_nothing(installation: Installation, collector: ReachedCollector) -> None:
    name = f"thief-{uuid.uuid4().hex[:8]}"
    spec = {"serviceAccountName": ACCOUNT, "containers": [{"name": "one", "image": "none", "imagePullPolicy": "Never"}]}
    created = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": SYSTEM}, "spec": spec}
    pod = json.loads(installation.kubectl("create", "--filename", "-", "--output", "json", stdin=json.dumps(created)))["metadata"]
    try:
        eventually("it has a node", lambda: installation.kubectl("get", "pod", name, "--namespace", SYSTEM, "--output", "jsonpath={.spec.nodeName}"), SECONDS)
        token = a_token(installation, pod=pod)
        assert collector.trade(token)[:2] == (403, b"NotOurs")
        assert collector.trade(a_token(installation))[0] == 403
        assert collector.trade(a_token(installation, pod=pod, audience=None))[0] == 403
    finally:
        installation.kubectl("delete", "pod", name, "--namespace", SYSTEM, "--force", "--grace-period=0")
    assert collector.trade(token)[0] == 403


def test_what_a_taken_node_says_of_other_nodes_pods_is_discarded_and_told_to_root(
    installation: Installation, collector: ReachedCollector, lone_node: tuple[str, dict[str, Any]]
) -> None:
    name, sensor = lone_node
    token = a_token(installation, pod=sensor)
    status, answer, taken = collector.trade(token)
    assert status == 200, answer
    assert taken is not None
    uid = json.loads(installation.kubectl("get", "node", name, "--output", "json"))["metadata"]["uid"]
    assert x509.load_pem_x509_certificates(taken.chain.encode())[0].subject.rfc4514_string() == f"CN={uid},O=watchkeeper:sensors"
    assert collector.ask("GET", "/v1/messages", taken)[0] == 403
    victim = next(pod for pod in installation.objects("pods", "--namespace", "kube-system") if pod["metadata"]["name"].startswith("coredns"))
    policy = f"forged-{uuid.uuid4().hex[:8]}"
    with in_root(installation, a_policy(policy, "never-said", namespace="watchkeeper", severity="P1")):
        eventually("the collector has told nodes of the policy", lambda: is_on_some_nodes(installation, policy), SECONDS)
        revision = revision_by_feed(collector, taken, policy)
        for number, forged in enumerate(forgeries(policy, revision, name, victim["metadata"])):
            delivery = Delivery(spool=uuid.uuid4().hex, entries=(Entry("detection", 0, encode(forged)),))
            status, answer = collector.ask("POST", "/v1/deliveries", taken, msgspec.msgpack.encode(delivery))
            assert status == 200, answer
            assert msgspec.msgpack.decode(answer, type=Taken) == Taken(count=1, discarded=1), number
        found = eventually("the forgery is in an incident of root", lambda: lines_of(installation, "forged", name), SECONDS)
    assert found[0]["severity"] == "P2"
    assert f"kube-system/{victim['metadata']['name']}" in json.dumps(found)
    assert installation.incidents(f'watchkeeper/{policy}"') == [], "a forged detection made an incident of the policy"
    installation.kubectl("delete", "pod", sensor["name"], "--namespace", SYSTEM, "--force", "--grace-period=0")
    eventually("the token of a deleted pod is dead", lambda: collector.trade(token)[0] == 403, SECONDS)


def is_on_some_nodes(installation: Installation, policy: str) -> bool:
    """Never on all: nobody on the lone node says so."""
    status = json.loads(installation.kubectl("get", "runtimepolicy", policy, "--namespace", "watchkeeper", "--output", "json")).get("status", {})
    return bool(status.get("nodes", {}).get("inForce"))


def revision_by_feed(collector: ReachedCollector, taken: Identity, policy: str) -> str:
    """What a detection of the policy has to name, as whoever holds the node's certificate can know it."""
    status, answer = collector.ask("GET", "/v1/feed", taken)
    assert status == 200, answer
    (told,) = [one for one in msgspec.json.decode(answer, type=NodeFeed).policies if one["metadata"]["name"] == policy]
    (rule,) = check_policies(load_policies(msgspec.json.encode(told), "told.json").documents).program.rules
    return rule.revision


def forgeries(policy: str, revision: str, node: str, victim: dict[str, Any]) -> list[Detection]:
    """About a pod of another node by its own name, as if it were here, and by another service account."""
    pod = f"{victim['namespace']}/{victim['name']}"
    named = {"policy": policy, "namespace": "watchkeeper", "rule": "marked", "revision": revision}
    kernel = named | {"kind": "process.exec", "source": "kernel", "severity": "P1", "target": None}
    act = {"process": "/bin/sh", "process_id": 7, "pod": pod, "pod_uid": victim["uid"]}
    return [
        a_detection(line=1, **kernel, identity=None, act=Act(**act)),
        a_detection(line=2, **kernel, identity=None, act=Act(**act, node=node)),
        a_detection(line=3, **kernel, identity="system:serviceaccount:kube-system:coredns", act=Act(process="/bin/sh", process_id=7, node=node)),
    ]
