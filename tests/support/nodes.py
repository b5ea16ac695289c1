"""Nodes, pods and rules as the collector knows them, and what nodes say: builders with good defaults."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
from tests.support.detections import a_detection

from watchkeeper_detection import wire
from watchkeeper_detection.detection import Act, Detection, Place
from watchkeeper_detection.match import Match
from watchkeeper_detection.node_wire import Entry
from watchkeeper_operator.collector.cluster_view import ClusterView, Node, Pod
from watchkeeper_operator.collector.rules_known import Known, RulesKnown
from watchkeeper_operator.policy_objects import Key, Written

NODE, OTHER = "node-a", "node-b"


def a_node(name: str = NODE, **metadata: Any) -> Node:
    addresses = [{"type": "InternalIP", "address": "192.0.2.7"}, {"type": "Hostname", "address": name}]
    return msgspec.convert({"metadata": {"name": name, "uid": f"uid-{name}"} | metadata, "status": {"addresses": addresses}}, Node)


def a_pod(name: str = "web-0", namespace: str = "shop", node: str = NODE, **metadata: Any) -> Pod:
    written = {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}"} | metadata,
        "spec": {"nodeName": node, "serviceAccountName": "web"},
        "status": {"podIP": "10.0.0.4", "podIPs": [{"ip": "10.0.0.4"}]},
    }
    return msgspec.convert(written, Pod)


def a_view(*pods: Pod) -> ClusterView:
    """Two nodes; `shop/web-0` on the first and `bank/till-0` on the second unless told otherwise."""
    view = ClusterView()
    for node in (a_node(), a_node(OTHER)):
        view.put_node(node)
    for pod in pods or (a_pod(), a_pod("till-0", "bank", OTHER)):
        view.put_pod(pod)
    return view


def a_known(**fields: Any) -> Known:
    defaults: dict[str, Any] = {
        "namespace": "watchkeeper",
        "policy": "shells",
        "rule": "shell",
        "revision": "r1",
        "state_key": "s1",
        "kinds": ("process.exec",),
        "include": (),
        "exclude": (),
        "keys": (("pod.uid",),),
        "until": 1,
    }
    return Known(**(defaults | fields))


def some_rules(*known: Known) -> RulesKnown:
    return RulesKnown(known or (a_known(), a_known(namespace="shop", policy="own", state_key="s2", include=("shop",))))


def a_finding(*, pod: str | None = "shop/web-0", event: dict[str, Any] | None = None, **fields: Any) -> Detection:
    """A detection as a sensor sends it: by the rule `shells/shell`, about this pod."""
    act = Act(process="/bin/sh", process_id=7, pod=pod, node=NODE)
    where = {"node": {"name": NODE}} | ({"pod": {"name": pod.partition("/")[2], "namespace": pod.partition("/")[0]}} if pod else {})
    defaults: dict[str, Any] = {
        "kind": "process.exec",
        "policy": "shells",
        "namespace": "watchkeeper",
        "rule": "shell",
        "revision": "r1",
        "source": "kernel",
        "identity": None,
        "act": act,
        "event": zlib.compress(msgspec.json.encode(where if event is None else event)),
    }
    return a_detection(**(defaults | fields))


def a_node_match(**fields: Any) -> Match:
    defaults: dict[str, Any] = {
        "rule": "s1",
        "step": 0,
        "observed_at": 5,
        "event_id": "kernel:x:1",
        "provider_id": "",
        "source": "kernel",
        "kind": "process.exec",
        "place": Place("node-a", 1, -1),
        "about": (None, None, None, None),
        "keys": ("uid-shop-web-0",),
    }
    return Match(**(defaults | fields))


def an_entry(sent: Detection | Match | wire.Blind, position: int = 1) -> Entry:
    kind = {Detection: "detection", Match: "match", wire.Blind: "loss"}[type(sent)]
    return Entry(kind, position, wire.encode(sent))


def a_written(kind: str = "RuntimePolicy", name: str = "shells", namespace: str = "watchkeeper", generation: int = 1, **spec: Any) -> Written:
    rules = {"rules": [{"name": "shell", "on": ["process.exec"], "when": "true", "severity": "P3"}]} if kind == "RuntimePolicy" else {}
    return Written(Key(kind, namespace, name), f"uid-{kind}-{namespace}-{name}", generation, "2026-03-12T00:00:00Z", rules | spec)
