"""Story: what is done to the API server itself, by nobody, by an administrator gone bad, and by somebody who hides behind size."""

from __future__ import annotations

import http
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.cluster.callers import Caller
from tests.support.cluster.installation import eventually
from tests.support.cluster.told import entities, telling

SECONDS = 120
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
MASTERS = ("system:masters",)
BESIDE = "x" * 1_000_000
ANNOTATION = "y" * 60_000


def binding(name, *, namespace="", account="", user="", role="cluster-admin"):
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": account}
    if user:
        subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


@pytest.fixture
def intruder(people, namespace):
    """An administrator's stolen certificate."""
    with people.caller(f"intruder-{namespace}", MASTERS) as caller:
        yield caller


@pytest.fixture
def bound(cluster, namespace):
    """Name of a ClusterRoleBinding that is gone when the test is."""
    yield f"story-{namespace}"
    cluster.kubectl("delete", "clusterrolebinding", f"story-{namespace}", "--ignore-not-found")


def test_a_binding_to_cluster_admin_is_one_incident_by_the_audit_log_and_by_the_watch_of_rights(installation, namespace, intruder, bound):
    assert intruder.ask("POST", BINDINGS, binding(bound, namespace=namespace, account="default")).code == http.HTTPStatus.CREATED
    by_log = eventually("cluster-admin binding → incident by the audit log", lambda: telling(installation, "k8s-cluster-admin-binding", bound), SECONDS)
    by_watch = eventually("cluster-admin binding → incident by the watch", lambda: telling(installation, "k8s-rights-cluster-admin", bound), SECONDS)
    assert by_log["metadata"]["name"] == by_watch["metadata"]["name"]
    assert by_watch["status"]["severity"] in {"P1", "P2"}
    assert f"intruder-{namespace}" in entities(by_watch, "identity")
    assert f"system:serviceaccount:{namespace}:default" in json.dumps(by_watch["status"])


def test_a_secret_read_without_a_login_is_an_incident(installation, cluster, namespace):
    cluster.kubectl("--namespace", namespace, "create", "secret", "generic", "key", "--from-literal=word=sesame")
    cluster.kubectl("--namespace", namespace, "create", "rolebinding", "open", "--clusterrole=edit", "--user=system:anonymous")
    with Caller(cluster) as nobody:
        eventually("nobody may read", lambda: nobody.ask("GET", f"/api/v1/namespaces/{namespace}/secrets/key").taken, SECONDS)
    incident = eventually(
        "anonymous read of a secret → incident", lambda: telling(installation, "k8s-anonymous-request-allowed", f"namespaces/{namespace}/secrets/key"), SECONDS
    )
    assert incident["status"]["severity"] == "P1"
    assert any("without a login reached secrets" in one["message"] for one in incident["status"]["timeline"])


def test_an_object_of_a_megabyte_beside_a_binding_hides_nothing(installation, people, cluster, namespace, intruder, bound):
    """Seen with smaller limits: the batch that held both was too large, was sent again and again, and dropped."""
    large = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"x": BESIDE}}
    with people.caller(f"intruder-{namespace}", MASTERS) as other, ThreadPoolExecutor(2) as both:
        beside = both.submit(other.ask, "POST", f"/api/v1/namespaces/{namespace}/configmaps", large)
        act = both.submit(intruder.ask, "POST", BINDINGS, binding(bound, namespace=namespace, account="default"))
    assert beside.result().taken
    assert act.result().taken
    eventually("binding beside a megabyte → incident by the audit log", lambda: telling(installation, "k8s-cluster-admin-binding", bound), SECONDS)
    cluster.kubectl("--namespace", namespace, "delete", "configmap", "large")


def test_a_long_annotation_does_not_hide_a_privileged_pod(installation, busybox, namespace, intruder):
    container = {"name": "main", "image": busybox, "securityContext": {"privileged": True}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "long", "annotations": {"story/long": ANNOTATION}},
        "spec": {"containers": [container], "nodeSelector": {"story": "none"}},
    }
    assert intruder.ask("POST", f"/api/v1/namespaces/{namespace}/pods", pod).taken
    eventually("privileged pod with a long annotation → incident", lambda: telling(installation, "k8s-privileged-container", f"{namespace}/long"), SECONDS)
