"""Story: the token of a pod is read in the pod and used from elsewhere."""

from __future__ import annotations

import http
import json

import pytest
from tests.support.cluster.callers import Caller
from tests.support.cluster.installation import eventually
from tests.support.cluster.told import ROOT, entities, entry, telling

SECONDS = 150  # a sequence waits until nothing earlier can come: 10 s for nodes, 15 s for the audit log
MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount/token"
READ = "file.name == 'token' && file.for_read && file.under_service_account && has(pod.uid)"
USED = "kubernetes.credential_id.startsWith('JTI=') && has(kubernetes.pod_uid) && get(audit.stage, '') != 'RequestReceived'"


@pytest.fixture
def followed(installation, namespace):
    """Name of a root policy that joins what the sensor and the audit log see of a pod of this namespace."""
    name = f"story-{namespace}"
    steps = [
        {"name": "read", "on": ["file.open"], "when": f"{READ} && pod.namespace == '{namespace}'", "by": ["pod.uid"]},
        {"name": "used", "on": ["audit.request"], "when": f"{USED} && origin.ip != read.pod.ip", "by": ["kubernetes.pod_uid"]},
    ]
    rule = {
        "name": "elsewhere",
        "sequence": {"within": "1h", "ordered": True, "steps": steps},
        "severity": "P2",
        "confidence": "high",
        "attack": ["T1528", "T1550.001"],
        "message": "the token of {read.pod.name} was read by {read.process.exe}, then used from {used.origin.ip}",
    }
    spec = {"title": "Token read, then used elsewhere", "description": "Of a story.", "rules": [rule]}
    installation.apply({"apiVersion": "watchkeeper.dev/v1alpha1", "kind": "RuntimePolicy", "metadata": {"name": name, "namespace": ROOT}, "spec": spec})
    try:
        installation.kubectl("wait", "runtimepolicies", "--namespace", ROOT, name, "--for=condition=InForce", f"--timeout={SECONDS}s")
        yield name
    finally:
        installation.kubectl("delete", "runtimepolicies", "--namespace", ROOT, name)


def test_a_token_read_in_a_pod_and_used_elsewhere_is_told_by_sensor_audit_log_and_both_together(installation, work, followed):
    work.kubectl("create", "rolebinding", "app", "--clusterrole=view", f"--serviceaccount={work.namespace}:default")
    work.run("victim")
    token = work.shell("victim", f"busybox cat {MOUNTED}").strip()
    pod = f"{work.namespace}/victim"
    read = eventually("token read in a pod → incident", lambda: telling(installation, "container-service-account-token-read", pod), SECONDS)
    assert pod in entities(read, "pod")
    assert token not in json.dumps(read)
    with Caller(work.cluster, token=token) as thief:
        answer = thief.ask("GET", f"/api/v1/namespaces/{work.namespace}/configmaps")
        assert answer.code == http.HTTPStatus.OK
    told = eventually("read, then used elsewhere → incident", lambda: entry(installation, followed, "elsewhere"), SECONDS)
    assert "the token of victim was read by /bin/busybox, then used from " in told["message"]
    incident = telling(installation, followed)
    assert f"system:serviceaccount:{work.namespace}:default" in entities(incident, "identity")
