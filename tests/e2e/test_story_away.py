"""Story: something that Watchkeeper needs is away for a while: the collector, the API server, a node's sensor. What can be told is told later, once; what can't, is stated."""

from __future__ import annotations

import time

import pytest
from tests.support.cluster.disturbing import SECONDS, acts, await_ready, blind_of, kill, pod_of
from tests.support.cluster.installation import SYSTEM, eventually

COLLECTOR, SENSOR = "app.kubernetes.io/name=watchkeeper-collector", "app.kubernetes.io/name=watchkeeper-sensor"
DEPLOYMENTS = ("deployment/watchkeeper-collector", "deployment/watchkeeper-operator")
MANIFEST, ASIDE = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.yaml"


@pytest.fixture
def worker(installation):
    """A node that has no control plane."""
    return next(name for name in installation.cluster.nodes() if not name.endswith("control-plane"))


@pytest.fixture
def going_on(installation, work, worker):
    with acts(installation, work, nodeName=worker) as begun:
        yield begun


def test_what_happens_while_no_collector_is_there_waits_on_the_nodes_and_is_told_once(installation, going_on):
    try:
        installation.kubectl("scale", "--namespace", SYSTEM, "deployment/watchkeeper-collector", "--replicas=0")
        eventually("no collector", lambda: not installation.objects("pods", "--namespace", SYSTEM, "--selector", COLLECTOR), SECONDS)
        told = max(going_on.told(), default=0)
        going_on.await_more(10)
        assert max(going_on.told(), default=0) <= told + 4, "nobody was there to take it"
    finally:
        installation.kubectl("scale", "--namespace", SYSTEM, "deployment/watchkeeper-collector", "--replicas=1")
    await_ready(installation, *DEPLOYMENTS)
    going_on.each_told_once()


def test_while_the_api_server_is_away_nodes_are_watched_and_told_of(installation, going_on):
    cluster = installation.cluster
    node = next(name for name in cluster.nodes() if name.endswith("control-plane"))
    cluster.docker("exec", node, "mv", MANIFEST, ASIDE)
    try:
        eventually("the API server ends", lambda: not cluster.answers(), SECONDS)
    finally:
        cluster.docker("exec", node, "mv", ASIDE, MANIFEST)
    eventually("the API server answers again", cluster.answers, SECONDS)
    going_on.await_more()
    await_ready(installation, *DEPLOYMENTS)
    going_on.each_told_once()


def test_a_killed_sensor_says_since_when_nobody_watched_and_watches_again(installation, going_on, worker):
    began = time.time_ns()
    started = node_status(installation, worker)["startedAt"]
    kill(installation, SENSOR, worker)
    killed_by = time.time_ns()
    eventually("NodeSensor tells of the new sensor", lambda: node_status(installation, worker)["startedAt"] != started, SECONDS)
    eventually("the NodeSensor reports", lambda: connected(installation, worker), SECONDS)
    spans = eventually(
        "the time without a sensor is stated",
        lambda: [span for span in blind_of(installation, worker, began) if "killed" in span[2] and span[0] < killed_by],
        SECONDS,
    )
    since, until, _ = min(spans)
    print(f"nobody watched for {(until - since) / 1e9:.1f} s")
    going_on.await_more()
    count, told = going_on.done(), going_on.told
    eventually("the last act is told", lambda: count in told(), SECONDS)
    missing = set(range(1, count + 1)) - set(told())
    print(f"{len(missing)} of {count} acts were not seen")
    assert len(missing) <= (until - since) / 1e9 / 0.5 + 1, "more than happened while nobody watched"


def test_a_deleted_sensor_pod_says_since_when_nobody_watched(installation, going_on, worker):
    began = time.time_ns()
    name = pod_of(installation, SENSOR, worker)["metadata"]["name"]
    installation.kubectl("delete", "pod", "--namespace", SYSTEM, name)
    await_ready(installation, "daemonset/sensor-all-nodes")
    (since, until, _), *_ = eventually(
        "the time without a sensor is stated", lambda: [span for span in blind_of(installation, worker, began) if "stopped" in span[2]], SECONDS
    )
    print(f"nobody watched for {(until - since) / 1e9:.1f} s")
    eventually("the NodeSensor reports", lambda: connected(installation, worker), SECONDS)
    going_on.await_more()
    count = going_on.done()
    eventually("the last act is told", lambda: count in going_on.told(), SECONDS)
    missing = set(range(1, count + 1)) - set(going_on.told())
    print(f"{len(missing)} of {count} acts were not seen")
    assert len(missing) <= (until - since) / 1e9 / 0.5 + 1, "more than happened while nobody watched"


def node_status(installation, node):
    (found,) = installation.objects("nodesensors", "--field-selector", f"metadata.name={node}")
    return found["status"]


def connected(installation, node):
    return any(one["type"] == "Connected" and one["status"] == "True" for one in node_status(installation, node)["conditions"])
