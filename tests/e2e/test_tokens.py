"""Tokens of a real API server against the real collector: which are worth a certificate, and that all others are worth nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography import x509
from tests.support.collector_processes import CollectorProcess, a_collector_process, apply
from tests.support.collectors import a_request

from watchkeeper_detection.node_wire import Certificate, CertificateRequest, NodeFeed
from watchkeeper_operator.authority.certificates import key_pem
from watchkeeper_operator.authority.contexts import Identity
from watchkeeper_operator.authority.roles import Role
from watchkeeper_operator.bus.messages import Discarded, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api_server import ApiServer

NODE, SYSTEM, ACCOUNT, AUDIENCE = "token-node", "watchkeeper-system", "watchkeeper-sensor", "watchkeeper-collector"


@pytest.fixture(scope="module")
def collector(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    with a_collector_process(api_server, tmp_path_factory.mktemp("collector")) as running:
        apply(
            api_server,
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": SYSTEM}},
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"pool": "a"}}},
            a_daemon_set("sensors", ACCOUNT),
        )
        yield running


def a_daemon_set(name: str, account: str) -> dict[str, Any]:
    labels = {"app": name}
    spec = {"serviceAccountName": account, "containers": [{"name": "sensor", "image": "sensor"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": SYSTEM},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def a_sensor_pod(server: ApiServer, name: str, *, owner: str | None = "sensors", account: str = ACCOUNT, node: str | None = NODE) -> dict[str, Any]:
    """A pod as the DaemonSet's controller makes it: there is none here."""
    metadata: dict[str, Any] = {"name": name, "namespace": SYSTEM}
    if owner is not None:
        uid = json.loads(server.kubectl("get", "daemonset", owner, "-n", SYSTEM, "-o", "json"))["metadata"]["uid"]
        metadata["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": owner, "uid": uid, "controller": True}]
    spec: dict[str, Any] = {"serviceAccountName": account, "automountServiceAccountToken": False, "containers": [{"name": "sensor", "image": "sensor"}]}
    if node is not None:
        spec["nodeName"] = node
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    made = json.loads(server.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(pod)))
    return made["metadata"]


def a_token(server: ApiServer, *, pod: dict[str, Any] | None = None, audience: str | None = AUDIENCE, account: str = ACCOUNT) -> str:
    """As the kubelet gets it for a projected volume; without a pod, as anybody gets it who may."""
    spec: dict[str, Any] = {"audiences": [audience] if audience else []}
    if pod is not None:
        spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod["name"], "uid": pod["uid"]}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{account}/token"
    return json.loads(server.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body)))["status"]["token"]


def trade(collector: CollectorProcess, token: str) -> tuple[int, bytes, Identity | None]:
    request, key = a_request()
    body = msgspec.msgpack.encode(CertificateRequest(token=token, request=request))
    status, answer = asyncio.run(collector.ask("POST", "/v1/certificates", None, body))
    given = Identity(msgspec.msgpack.decode(answer, type=Certificate).certificate, key_pem(key)) if status == 200 else None
    return status, answer, given


def ask(collector: CollectorProcess, method: str, path: str, identity: Identity | None) -> tuple[int, bytes]:
    return asyncio.run(collector.ask(method, path, identity))


def messages(collector: CollectorProcess) -> list[Message]:
    status, body = ask(collector, "GET", "/v1/messages", collector.authorities.client(Role.OPERATOR))
    assert status == 200, body
    return msgspec.msgpack.decode(body, type=list[Message])


def test_a_projected_token_of_a_live_sensor_is_worth_a_certificate_of_its_node(api_server: ApiServer, collector: CollectorProcess) -> None:
    status, answer, identity = trade(collector, a_token(api_server, pod=a_sensor_pod(api_server, "live")))
    assert status == 200, answer
    leaf = x509.load_pem_x509_certificates(identity.chain.encode())[0]
    uid = json.loads(api_server.kubectl("get", "node", NODE, "-o", "json"))["metadata"]["uid"]
    assert leaf.subject.rfc4514_string() == f"CN={uid},O=watchkeeper:sensors"
    status, body = ask(collector, "GET", "/v1/feed", identity)
    assert status == 200
    feed = msgspec.json.decode(body, type=NodeFeed)
    assert feed.pods["node"]["labels"]["pool"] == "a"


def test_a_token_that_is_bound_to_no_pod_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    assert trade(collector, a_token(api_server))[:2] == (403, b"NotAToken")


def test_a_token_for_another_audience_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    pod = a_sensor_pod(api_server, "elsewhere")
    assert trade(collector, a_token(api_server, pod=pod, audience="https://vault.example"))[:2] == (403, b"NotASensorsToken")
    assert trade(collector, a_token(api_server, pod=pod, audience=None))[:2] == (403, b"NotASensorsToken")


def test_a_token_of_a_deleted_pod_is_refused_at_once(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "short"))
    assert trade(collector, token)[0] == 200
    api_server.kubectl("delete", "pod", "short", "-n", SYSTEM, "--grace-period=0", "--force")
    began = time.monotonic()
    status, reason, _ = trade(collector, token)
    assert (status, reason) in ((403, b"NoSuchPod"), (403, b"NotAuthenticated"))
    print(f"refused {time.monotonic() - began:.2f} s after the deletion")


def test_a_token_of_a_pod_that_no_daemon_set_of_ours_owns_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    assert trade(collector, a_token(api_server, pod=a_sensor_pod(api_server, "alone", owner=None)))[:2] == (403, b"NotOurs")
    apply(
        api_server, a_daemon_set("strangers", "default"), {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": SYSTEM}}
    )
    assert trade(collector, a_token(api_server, pod=a_sensor_pod(api_server, "stranger", owner="strangers")))[:2] == (403, b"NotOurs")


def test_a_token_of_another_account_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    apply(api_server, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "other", "namespace": SYSTEM}})
    pod = a_sensor_pod(api_server, "other", account="other")
    assert trade(collector, a_token(api_server, pod=pod, account="other"))[:2] == (403, b"NotASensorsToken")


def test_a_token_of_a_pod_that_no_node_runs_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    pod = a_sensor_pod(api_server, "nowhere", node=None)
    assert trade(collector, a_token(api_server, pod=pod))[:2] == (403, b"NotBound")


def test_a_token_whose_claims_were_changed_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "honest"), audience="other")
    head, claims, signature = token.split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(read | {"aud": [AUDIENCE]}).encode()).decode().rstrip("=")
    assert trade(collector, f"{head}.{changed}.{signature}")[:2] == (403, b"NotAuthenticated")


def test_a_stolen_token_is_useless_while_its_sensor_lives_and_its_use_is_reported(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "victim"))
    _, _, mine = trade(collector, token)
    assert ask(collector, "GET", "/v1/feed", mine)[0] == 200
    assert trade(collector, token)[:2] == (409, b"SecondCertificate")
    told = [msgspec.msgpack.decode(one.payload, type=Discarded) for one in messages(collector) if one.topic == "discarded"]
    assert [(one.reason, one.node_name, one.pod) for one in told] == [("SecondCertificate", NODE, "victim")]
    assert ask(collector, "GET", "/v1/feed", mine)[0] == 200
    assert ask(collector, "GET", "/v1/messages", mine)[0] == 403


def test_certificates_and_reports_outlive_the_process(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "lasting"))
    _, _, mine = trade(collector, token)
    assert ask(collector, "GET", "/v1/feed", mine)[0] == 200
    before = messages(collector)
    collector.kill()
    collector.start()
    assert messages(collector) == before
    assert ask(collector, "GET", "/v1/feed", mine)[0] == 200
    assert trade(collector, token)[:2] == (409, b"SecondCertificate")


def test_metrics_are_for_who_may_read_them(collector: CollectorProcess) -> None:
    import http.client

    for headers, status in (({}, 401), ({"authorization": "Bearer x"}, 401)):
        connection = http.client.HTTPConnection("127.0.0.1", collector.metrics_port, timeout=5)
        connection.request("GET", "/metrics", headers=headers)
        assert connection.getresponse().status == status
        connection.close()


def test_the_log_holds_no_token(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "logged"))
    trade(collector, token)
    assert token.split(".")[2] not in (collector.folder / "collector.log").read_text()


def test_it_ends_when_asked(collector: CollectorProcess) -> None:
    assert collector.stop() == 0, collector.log()
