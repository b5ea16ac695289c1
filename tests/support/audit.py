"""Audit events and batches of them, as the API server's webhook sends them."""

from __future__ import annotations

import json
from typing import Any

ADDRESS = "10.0.0.7"


def an_audit_event(number: int = 1, **parts: Any) -> dict[str, Any]:
    """A pod read by ann; `parts` replace or add top-level members."""
    moment = f"2026-03-12T02:46:{number % 60:02}.{number:06}Z"
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"7b1d0c4e-0000-4000-8000-{number:012}",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/pods/web",
        "verb": "get",
        "user": {"username": "ann", "groups": ["system:authenticated"]},
        "sourceIPs": [ADDRESS],
        "userAgent": "kubectl/v1.37.2",
        "objectRef": {"resource": "pods", "namespace": "shop", "name": "web", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": moment,
        "stageTimestamp": moment,
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    } | parts


def an_administrator_binding(number: int = 1, **parts: Any) -> dict[str, Any]:
    """A ClusterRoleBinding of cluster-admin, made by ann for eve."""
    name = "harmless"
    body = {
        "kind": "ClusterRoleBinding",
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "metadata": {"name": name},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "eve"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
    }
    return (
        an_audit_event(
            number,
            level="RequestResponse",
            verb="create",
            requestURI="/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?fieldManager=kubectl-create",
            objectRef={"resource": "clusterrolebindings", "name": name, "apiGroup": "rbac.authorization.k8s.io", "apiVersion": "v1"},
            responseStatus={"metadata": {}, "code": 201},
            requestObject=body,
            responseObject=body,
        )
        | parts
    )


def a_batch(*events: dict[str, Any]) -> bytes:
    """As the API server encodes an EventList."""
    return json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": events}, separators=(",", ":")).encode() + b"\n"
