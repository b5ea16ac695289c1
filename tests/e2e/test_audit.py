"""What people do to a real API server arrives by its audit webhook and is judged: promptly, and whatever else is sent beside it."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time

import pytest
from tests.support.audit_collectors import audited
from tests.support.cluster.kubebox import NoKubernetesError

BINDING = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}]
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(audited(tmp_path_factory.mktemp("audit")))
        except NoKubernetesError as reason:
            pytest.skip(str(reason))


def of(rule: str, target: str):
    policy = rule.split("/", maxsplit=1)[0]
    return lambda one: one.policy == policy and rule in (policy, f"{one.policy}/{one.rule}") and target in (one.target or "")


def request(server, method: str, path: str, body: bytes = b"", **headers: str) -> int:
    """As nobody: without a certificate or token."""
    context = ssl.create_default_context(cadata=server.authority.certificate.decode())
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)) as connection:
        connection.request(method, path, body, headers)
        return connection.getresponse().status


def test_a_binding_of_cluster_admin_is_a_detection_within_three_seconds(running):
    server, collector = running
    server.kubectl("create", "-f", "-", stdin=BINDING % "e2e-admins")
    late, found = collector.wait_for(of("k8s-cluster-admin-binding/granted", "e2e-admins"))
    print(f"binding → detection on the queue: {late:.2f} s")
    assert found.identity == "administrator"
    assert late < 3


def test_anonymous_access_is_a_detection(running):
    server, collector = running
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: e2e-open}\nrules: [{apiGroups: [''], resources: [configmaps], verbs: [list]}]"
    server.kubectl("create", "-f", "-", stdin=role)
    server.kubectl("create", "clusterrolebinding", "e2e-open", "--clusterrole=e2e-open", "--user=system:anonymous")
    end = time.monotonic() + 5
    while request(server, "GET", "/api/v1/namespaces/default/configmaps") != 200:
        assert time.monotonic() < end
    late, _ = collector.wait_for(of("k8s-anonymous-request-allowed/resource-read", "configmaps"))
    print(f"anonymous read → detection on the queue: {late:.2f} s")


def test_a_refused_attempt_of_a_stranger_is_seen_too(running):
    server, collector = running
    assert request(server, "GET", "/api/v1/namespaces/kube-system/secrets") == 403
    collector.wait_for(lambda one: one.origin == "127.0.0.1" and "secrets" in (one.target or "") and one.identity == "system:anonymous")


def test_a_megabyte_of_configmap_beside_a_binding_hides_nothing(running):
    server, collector = running
    config = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "e2e-large", "namespace": "default"}, "data": {"a": "x" * 1_000_000}})
    server.kubectl("create", "-f", "-", stdin=f"{config}\n---\n{BINDING % 'e2e-beside'}")
    late, _ = collector.wait_for(of("k8s-cluster-admin-binding/granted", "e2e-beside"))
    print(f"1 MB beside a binding → detection on the queue: {late:.2f} s")
    assert late < 3


@pytest.mark.parametrize("kilobytes", [60, 250])
def test_a_long_annotation_hides_no_privileged_pod(running, kilobytes):
    server, collector = running
    name = f"e2e-privileged-{kilobytes}"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": {"a": "x" * 1000 * kilobytes}},
        "spec": {"containers": [{"name": "c", "image": "nowhere.test/c:1", "securityContext": {"privileged": True}}], "automountServiceAccountToken": False},
    }
    server.kubectl("create", "serviceaccount", "default", check=False)
    server.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    collector.wait_for(of("k8s-privileged-container", name))
    assert not [blind for blind in collector.blind() if blind.cause == "audit_truncated"]


def test_an_event_that_the_api_server_truncates_is_a_loss_and_a_detection(running):
    """A stranger to our flags: an API server whose limit is small."""
    server, collector = running
    server.flags = {**server.flags, "audit-webhook-truncate-max-event-size": "20000"}
    server.restart()
    pod = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "e2e-truncated", "namespace": "default"},
        "data": {"a": "x" * 60_000},
    }
    server.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    collector.wait_for(of("k8s-audit-truncated", "e2e-truncated"))
    assert [blind.records for blind in collector.blind() if blind.cause == "audit_truncated"] == [{"audit.request": 1}]


def test_the_collector_is_away_for_twenty_seconds_and_nothing_is_lost(running):
    server, collector = running
    server.kubectl("create", "namespace", "e2e-before")
    collector.stop()
    begun = time.monotonic()
    names = [f"e2e-away-{number}" for number in range(20)]
    for name in names:
        server.kubectl("create", "-f", "-", stdin=BINDING % name)
        time.sleep(max(0.0, begun + (names.index(name) + 1) - time.monotonic()))
    away = time.monotonic() - begun
    collector.start()
    lates = [collector.wait_for(of("k8s-cluster-admin-binding/granted", name), 60)[0] for name in names]
    print(f"away for {away:.1f} s: latest detection {max(lates):.1f} s after its event, median {sorted(lates)[10]:.1f} s")
    assert away >= 20
    found = [one.target for _, one in collector.detections() if one.rule == "granted" and "e2e-away" in (one.target or "")]
    assert len(found) == len(names)
