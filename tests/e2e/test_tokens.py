"""Tokens of a real API server against the real collector: which are worth a certificate, and that all others are worth nothing."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography import x509
from tests.support.collector_processes import CollectorProcess, a_collector_process, apply
from tests.support.sensor_callers import ACCOUNT, AUDIENCE, SYSTEM, a_daemon_set, a_sensor_pod, a_token, ask, messages, trade

from watchkeeper_detection.node_wire import NodeFeed
from watchkeeper_operator.bus.messages import Discarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.api_server import ApiServer

NODE = "token-node"


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


def test_a_projected_token_of_a_live_sensor_is_worth_a_certificate_of_its_node(api_server: ApiServer, collector: CollectorProcess) -> None:
    status, answer, identity = trade(collector, a_token(api_server, pod=a_sensor_pod(api_server, "live", node=NODE)))
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
    pod = a_sensor_pod(api_server, "elsewhere", node=NODE)
    assert trade(collector, a_token(api_server, pod=pod, audience="https://vault.example"))[:2] == (403, b"NotASensorsToken")
    assert trade(collector, a_token(api_server, pod=pod, audience=None))[:2] == (403, b"NotASensorsToken")


def test_a_token_of_a_deleted_pod_is_refused_at_once(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "short", node=NODE))
    assert trade(collector, token)[0] == 200
    api_server.kubectl("delete", "pod", "short", "-n", SYSTEM, "--grace-period=0", "--force")
    began = time.monotonic()
    status, reason, _ = trade(collector, token)
    assert (status, reason) in ((403, b"NoSuchPod"), (403, b"NotAuthenticated"))
    print(f"refused {time.monotonic() - began:.2f} s after the deletion")


def test_a_token_of_a_pod_that_no_daemon_set_of_ours_owns_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    assert trade(collector, a_token(api_server, pod=a_sensor_pod(api_server, "alone", node=NODE, owner=None)))[:2] == (403, b"NotOurs")
    apply(
        api_server, a_daemon_set("strangers", "default"), {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": SYSTEM}}
    )
    assert trade(collector, a_token(api_server, pod=a_sensor_pod(api_server, "stranger", node=NODE, owner="strangers")))[:2] == (403, b"NotOurs")


def test_a_token_of_another_account_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    apply(api_server, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "other", "namespace": SYSTEM}})
    pod = a_sensor_pod(api_server, "other", node=NODE, account="other")
    assert trade(collector, a_token(api_server, pod=pod, account="other"))[:2] == (403, b"NotASensorsToken")


def test_a_token_of_a_pod_that_no_node_runs_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    pod = a_sensor_pod(api_server, "nowhere", node=None)
    assert trade(collector, a_token(api_server, pod=pod))[:2] == (403, b"NotBound")


def test_a_token_whose_claims_were_changed_is_refused(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "honest", node=NODE), audience="other")
    head, claims, signature = token.split(".")
    read = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(read | {"aud": [AUDIENCE]}).encode()).decode().rstrip("=")
    assert trade(collector, f"{head}.{changed}.{signature}")[:2] == (403, b"NotAuthenticated")


def test_a_stolen_token_is_useless_while_its_sensor_lives_and_its_use_is_reported(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "victim", node=NODE))
    _, _, mine = trade(collector, token)
    assert ask(collector, "GET", "/v1/feed", mine)[0] == 200
    assert trade(collector, token)[:2] == (409, b"SecondCertificate")
    told = [msgspec.msgpack.decode(one.payload, type=Discarded) for one in messages(collector) if one.topic == "discarded"]
    assert [(one.reason, one.node_name, one.pod) for one in told] == [("SecondCertificate", NODE, "victim")]
    assert ask(collector, "GET", "/v1/feed", mine)[0] == 200
    assert ask(collector, "GET", "/v1/messages", mine)[0] == 403


def test_certificates_and_reports_outlive_the_process(api_server: ApiServer, collector: CollectorProcess) -> None:
    token = a_token(api_server, pod=a_sensor_pod(api_server, "lasting", node=NODE))
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
    token = a_token(api_server, pod=a_sensor_pod(api_server, "logged", node=NODE))
    trade(collector, token)
    assert token.split(".")[2] not in (collector.folder / "collector.log").read_text()


def test_it_ends_when_asked(collector: CollectorProcess) -> None:
    assert collector.stop() == 0, collector.log()
