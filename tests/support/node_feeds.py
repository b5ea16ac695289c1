"""Feeds of a node, as the collector tells them."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.node_wire import NodeFeed

KERNEL_RULE = {"name": "shell", "on": ["process.exec"], "when": 'process.name == "sh"', "severity": "P2"}


def a_kernel_rule(**fields: Any) -> dict[str, Any]:
    """A rule that is right; None leaves a field out."""
    return {name: value for name, value in (KERNEL_RULE | fields).items() if value is not None}


def an_object(name: str, spec: dict[str, Any], namespace: str = "watchkeeper") -> dict[str, Any]:
    """Trimmed to what a node is told."""
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "generation": 1}, "spec": spec}


def a_told_policy(name: str, *rules: dict[str, Any], namespace: str = "watchkeeper", **spec: Any) -> dict[str, Any]:
    return an_object(name, {"title": "Test", "rules": list(rules) or [a_kernel_rule()]} | spec, namespace)


def a_feed(revision: str, *policies: dict[str, Any], **fields: Any) -> NodeFeed:
    return NodeFeed(**({"revision": revision, "policies_revision": revision, "policies": policies, "pods": {"version": 1}} | fields))
