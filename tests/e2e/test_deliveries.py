"""A policy applied to a real API server reaches a node, and what the node finds by it reaches the leader; by kill -9, edits and deletions too."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.support.collector_processes import CollectorProcess, a_collector_process, apply
from tests.support.nodes import a_finding, an_entry
from tests.support.sensor_callers import ACCOUNT, SYSTEM, a_daemon_set, a_sensor_pod, a_token, ask, messages, trade

from watchkeeper_detection.checking import check_policies
from watchkeeper_detection.detection import Act
from watchkeeper_detection.node_wire import Delivery, NodeFeed, Taken
from watchkeeper_detection.policy_loading import load_policies
from watchkeeper_operator.bus.messages import Discarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api_server import ApiServer

    from watchkeeper_operator.authority.contexts import Identity

NODE, OTHER = "delivering-node", "another-node"


def a_policy(name: str, namespace: str, when: str = "process.name == 'sh'", **spec: Any) -> dict[str, Any]:
    rules = [{"name": "shell", "on": ["process.exec"], "when": when, "severity": "P3"}]
    return {
        "apiVersion": "watchkeeper.dev/v1alpha1",
        "kind": "RuntimePolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"rules": rules} | spec,
    }


def a_workload(name: str, namespace: str, node: str) -> dict[str, Any]:
    spec = {"nodeName": node, "automountServiceAccountToken": False, "containers": [{"name": "web", "image": "web"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}}, "spec": spec}


@pytest.fixture(scope="module")
def collector(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    with a_collector_process(api_server, tmp_path_factory.mktemp("collector")) as running:
        for namespace in ("watchkeeper", "shop", "bank"):
            apply(api_server, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            apply(api_server, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": namespace}})
        apply(
            api_server,
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": SYSTEM}},
            *({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in (NODE, OTHER)),
            a_daemon_set("sensors", ACCOUNT),
            a_workload("web", "shop", NODE),
            a_workload("till", "bank", OTHER),
            a_policy("shells", "watchkeeper"),
            a_policy("own", "shop"),
            a_policy("own", "bank"),
        )
        yield running


@pytest.fixture(scope="module")
def sensor(api_server: ApiServer, collector: CollectorProcess) -> Identity:
    status, answer, identity = trade(collector, a_token(api_server, pod=a_sensor_pod(api_server, "delivering", node=NODE)))
    assert identity is not None, (status, answer)
    return identity


def feed(collector: CollectorProcess, sensor: Identity, since: str = "") -> NodeFeed:
    status, body = ask(collector, "GET", f"/v1/feed?since={since}", sensor)
    assert status == 200, body
    return msgspec.json.decode(body, type=NodeFeed)


def settled(collector: CollectorProcess, sensor: Identity, wanted: set[tuple[str, str]]) -> NodeFeed:
    """The feed once it holds these policies and no others."""
    end = time.monotonic() + 10
    while True:
        told = feed(collector, sensor)
        if {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in told.policies} == wanted:
            return told
        assert time.monotonic() < end, told.policies
        time.sleep(0.2)


def revision(told: NodeFeed, namespace: str, name: str) -> str:
    """As the node's own checking makes it, from what it was told."""
    documents = [one for policy in told.policies for one in load_policies(msgspec.json.encode(policy), "feed.json").documents]
    (found,) = (rule.revision for rule in check_policies(documents).program.rules if (rule.namespace, rule.policy) == (namespace, name))
    return found


def deliver(collector: CollectorProcess, sensor: Identity, spool: str, *, pod: str | None, policy: str, namespace: str, made_by: str) -> Taken:
    act = Act(process="/bin/sh", process_id=7, pod=pod, node=NODE)
    where = {"node": {"name": NODE}} | ({"pod": {"name": pod.partition("/")[2], "namespace": pod.partition("/")[0]}} if pod else {})
    found = a_finding(policy=policy, namespace=namespace, revision=made_by, act=act, event=where)
    body = msgspec.msgpack.encode(Delivery(spool=spool, entries=(an_entry(found, 1),)))
    status, answer = ask(collector, "POST", "/v1/deliveries", sensor, body)
    assert status == 200, answer
    return msgspec.msgpack.decode(answer, type=Taken)


def test_a_node_is_told_what_can_match_its_pods_and_nothing_of_others(collector: CollectorProcess, sensor: Identity) -> None:
    told = settled(collector, sensor, {("watchkeeper", "shells"), ("shop", "own")})
    names = {one["labels"].get("app") for one in told.pods["pods"].values()}
    assert "web" in names
    assert "till" not in names


def test_what_a_node_finds_by_what_it_was_told_reaches_the_leader_and_what_it_forges_is_reported(collector: CollectorProcess, sensor: Identity) -> None:
    told = settled(collector, sensor, {("watchkeeper", "shells"), ("shop", "own")})
    own, root = revision(told, "shop", "own"), revision(told, "watchkeeper", "shells")
    assert deliver(collector, sensor, "s1", pod="shop/web", policy="own", namespace="shop", made_by=own) == Taken(count=1)
    assert deliver(collector, sensor, "s2", pod=None, policy="shells", namespace="watchkeeper", made_by=root) == Taken(count=1)
    assert deliver(collector, sensor, "s3", pod="bank/till", policy="shells", namespace="watchkeeper", made_by=root) == Taken(count=1, discarded=1)
    assert deliver(collector, sensor, "s4", pod="shop/web", policy="own", namespace="bank", made_by=own) == Taken(count=1, discarded=1)
    found = messages(collector)
    assert [one.topic for one in found] == ["detection", "detection", "discarded", "discarded"]
    reasons = [msgspec.msgpack.decode(one.payload, type=Discarded).reason for one in found[2:]]
    assert reasons == ["AnotherNodesPod", "PolicyUnknown"]


def test_a_policy_that_changes_is_told_within_five_seconds_to_who_waits(api_server: ApiServer, collector: CollectorProcess, sensor: Identity) -> None:
    before = settled(collector, sensor, {("watchkeeper", "shells"), ("shop", "own")})
    old = revision(before, "shop", "own")
    apply(api_server, a_policy("own", "shop", "process.name == 'bash'"))
    began = time.monotonic()
    after = feed(collector, sensor, before.revision)
    took = time.monotonic() - began
    assert took < 5
    print(f"a changed policy was told after {took:.2f} s")
    assert revision(after, "shop", "own") != old
    assert deliver(collector, sensor, "s5", pod="shop/web", policy="own", namespace="shop", made_by=old) == Taken(count=1), "found before the change"


def test_what_was_known_is_known_after_kill_9(api_server: ApiServer, collector: CollectorProcess, sensor: Identity) -> None:
    told = settled(collector, sensor, {("watchkeeper", "shells"), ("shop", "own")})
    old = revision(told, "shop", "own")
    apply(api_server, a_policy("own", "shop", "process.name == 'zsh'"))
    feed(collector, sensor, told.revision)
    before = messages(collector)
    collector.kill()
    collector.start()
    assert messages(collector) == before
    assert deliver(collector, sensor, "s6", pod="shop/web", policy="own", namespace="shop", made_by=old) == Taken(count=1)


def test_a_pod_that_has_gone_may_be_told_of_and_its_policies_are_not_told_any_more(
    api_server: ApiServer, collector: CollectorProcess, sensor: Identity
) -> None:
    told = settled(collector, sensor, {("watchkeeper", "shells"), ("shop", "own")})
    made_by = revision(told, "shop", "own")
    api_server.kubectl("delete", "pod", "web", "-n", "shop", "--grace-period=0", "--force")
    settled(collector, sensor, {("watchkeeper", "shells")})
    assert deliver(collector, sensor, "s7", pod="shop/web", policy="own", namespace="shop", made_by=made_by) == Taken(count=1)


def test_a_policy_that_can_not_be_used_leaves_the_last_good_one_told(api_server: ApiServer, collector: CollectorProcess, sensor: Identity) -> None:
    told = settled(collector, sensor, {("watchkeeper", "shells")})
    apply(api_server, a_policy("shells", "watchkeeper", "process.nmae == 'sh'"), a_policy("more", "watchkeeper"))
    after = settled(collector, sensor, {("watchkeeper", "shells"), ("watchkeeper", "more")})
    assert revision(after, "watchkeeper", "shells") == revision(told, "watchkeeper", "shells")


def test_states_wait_for_the_leader(collector: CollectorProcess, sensor: Identity) -> None:
    body = json.dumps({"sensor_version": "1", "kernel": "6.1", "started_at": 1}).encode()
    assert ask(collector, "PUT", "/v1/state", sensor, body)[0] == 204
    assert messages(collector)[-1].topic == "node-state"
