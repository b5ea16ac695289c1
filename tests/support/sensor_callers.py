"""Sensors' pods as their DaemonSet's controller makes them, and what a sensor does with its token, on a real API server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import msgspec
from tests.support.collectors import a_request

from watchkeeper_detection.node_wire import Certificate, CertificateRequest
from watchkeeper_operator.authority.certificates import key_pem
from watchkeeper_operator.authority.contexts import Identity
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.messages import Message

if TYPE_CHECKING:
    from tests.support.api_server import ApiServer
    from tests.support.collector_processes import CollectorProcess

SYSTEM, ACCOUNT, AUDIENCE = "watchkeeper-system", "watchkeeper-sensor", "watchkeeper-collector"


def a_daemon_set(name: str, account: str) -> dict[str, Any]:
    labels = {"app": name}
    spec = {"serviceAccountName": account, "containers": [{"name": "sensor", "image": "sensor"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": SYSTEM},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def a_sensor_pod(server: ApiServer, name: str, *, node: str | None, owner: str | None = "sensors", account: str = ACCOUNT) -> dict[str, Any]:
    """Metadata of the pod that was made; without `node` none runs it."""
    metadata: dict[str, Any] = {"name": name, "namespace": SYSTEM}
    if owner is not None:
        uid = json.loads(server.kubectl("get", "daemonset", owner, "-n", SYSTEM, "-o", "json"))["metadata"]["uid"]
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": owner, "uid": uid, "controller": True}]
    spec: dict[str, Any] = {"serviceAccountName": account, "automountServiceAccountToken": False, "containers": [{"name": "sensor", "image": "sensor"}]}
    if node is not None:
        spec["nodeName"] = node
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    made: dict[str, Any] = json.loads(server.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(pod)))
    return made["metadata"]


def a_token(server: ApiServer, *, pod: dict[str, Any] | None = None, audience: str | None = AUDIENCE, account: str = ACCOUNT) -> str:
    """As the kubelet gets it for a projected volume; without a pod, as anybody gets it who may."""
    spec: dict[str, Any] = {"audiences": [audience] if audience else []}
    if pod is not None:
        spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod["name"], "uid": pod["uid"]}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account}/token"
    token: str = json.loads(server.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body)))["status"]["token"]
    return token


def trade(collector: CollectorProcess, token: str) -> tuple[int, bytes, Identity | None]:
    """Status, body, and the identity where one was given."""
    request, key = a_request()
    body = msgspec.msgpack.encode(CertificateRequest(token=token, request=request))
    status, answer = asyncio.run(collector.ask("POST", "/v1/certificates", None, body))
    given = Identity(msgspec.msgpack.decode(answer, type=Certificate).certificate, key_pem(key)) if status == 200 else None
    return status, answer, given


def ask(collector: CollectorProcess, method: str, path: str, identity: Identity | None, body: bytes | None = None) -> tuple[int, bytes]:
    return asyncio.run(collector.ask(method, path, identity, body))


def messages(collector: CollectorProcess) -> list[Message]:
    """All that waits for the leader."""
    status, body = ask(collector, "GET", "/v1/messages", collector.authorities.client(Role.OPERATOR))
    assert status == 200, body
    return msgspec.msgpack.decode(body, type=list[Message])
