"""Rights that change on a real API server are told within seconds, by the right rule, without an audit log."""

from __future__ import annotations

import base64
import json
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.api_server import ApiServer
from tests.support.rights import WatchedRights

SECONDS_TO_SEE = 10.0  # from the change to the detection in the store; those that are suppressed wait 5 s for what may come earlier
RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def server():
    """One of its own: a fresh cluster is a fact of these tests. Any client may ask for system:masters, which a cluster usually refuses at once."""
    with ApiServer(flags={"disable-admission-plugins": "CertificateSubjectRestriction,ServiceAccount"}) as server:
        yield server


@pytest.fixture(scope="module")
def watched(server, tmp_path_factory):
    with WatchedRights(server.kubeconfig, tmp_path_factory.mktemp("rights") / "store.db") as watched:
        yield watched


def apply(server, *objects):
    server.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))


def cluster_role(name, *rules, **metadata):
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name, **metadata}, "rules": list(rules)}


def binding(name, role, *subjects):
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": list(subjects),
    }


def user(name):
    return {"apiGroup": RBAC, "kind": "User", "name": name}


def group(name):
    return {"apiGroup": RBAC, "kind": "Group", "name": name}


def account(namespace, name):
    return {"kind": "ServiceAccount", "namespace": namespace, "name": name}


def rule(verbs, resources, api_group=""):
    return {"apiGroups": [api_group], "resources": resources.split(), "verbs": verbs.split()}


def webhook(name, client, resources, failure_policy="Fail"):
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [
            {
                "name": f"{name}.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": failure_policy,
                "clientConfig": client,
                "rules": [{"apiGroups": ["shop.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": resources}],
            }
        ],
    }


def certificate_request(name, common_name, *organizations, signer="kubernetes.io/kube-apiserver-client"):
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name), *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations)]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"signerName": signer, "usages": ["client auth"], "request": base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()},
    }


def test_a_fresh_cluster_is_quiet(watched):
    """Runs first: nothing was made yet but by the API server itself."""
    assert watched.watch.blind == {}
    time.sleep(7)  # what is suppressed waits five seconds
    assert [f"{one.severity} {one.policy}/{one.rule}: {one.message}" for one in watched.detections()] == []


GRANTED = {
    "cluster-admin for a user": (
        [binding("e2e-admin", "cluster-admin", user("mallory"))],
        ("k8s-rights-cluster-admin", "granted", "mallory can do anything"),
    ),
    "the escalate verb": (
        [cluster_role("e2e-escalate", rule("escalate", "clusterroles", RBAC)), binding("e2e-escalate", "e2e-escalate", user("eve"))],
        ("k8s-rights-escalation", "in-the-whole-cluster", "eve can escalate"),
    ),
    "a role with escalate that nobody holds": (
        [cluster_role("e2e-unheld", rule("escalate", "clusterroles", RBAC))],
        ("k8s-strong-role-written", "escalates", "e2e-unheld gives escalate"),
    ),
    "a label that puts secrets into view": (
        [
            binding("e2e-readers", "view", group("readers")),
            cluster_role("e2e-extra", rule("list", "secrets"), labels={f"{RBAC}/aggregate-to-view": "true"}),
        ],
        ("k8s-rights-secrets", "in-the-whole-cluster", "group:readers can read secrets"),
    ),
    "a star under another role's name": (
        [cluster_role("e2e-star", rule("*", "*", "*")), binding("e2e-star", "e2e-star", user("trudy"))],
        ("k8s-rights-cluster-admin", "granted", "trudy can do anything"),
    ),
    "every login may edit": (
        [binding("e2e-everybody", "edit", group("system:authenticated"))],
        ("k8s-rights-of-everybody", "every-login-takes-over", "group:system:authenticated"),
    ),
    "secrets without a login": (
        [cluster_role("e2e-open", rule("list", "secrets")), binding("e2e-open", "e2e-open", group("system:unauthenticated"))],
        ("k8s-rights-of-everybody", "anonymous-takes-over", "group:system:unauthenticated"),
    ),
    "an account that does not exist": (
        [binding("e2e-ghost", "cluster-admin", account("default", "ghost"))],
        ("k8s-rights-claimable", "added", "system:serviceaccount:default:ghost does not exist"),
    ),
    "a webhook that sends everything outside": (
        [webhook("e2e-outside", {"url": "https://203.0.113.9/collect"}, ["*"])],
        ("k8s-webhook-configured", "secrets-go-out", "e2e-outside"),
    ),
    "a request for system:masters": (
        [certificate_request("e2e-asked", "mallory", "system:masters")],
        ("k8s-certificate-approved-for-another", "administrators-asked-for", "e2e-asked"),
    ),
}


@pytest.mark.parametrize("case", GRANTED)
def test_what_is_granted_is_seen_within_seconds(server, watched, case):
    objects, expected = GRANTED[case]
    began = time.monotonic()
    apply(server, *objects)
    detection = watched.seen(*expected)
    took = time.monotonic() - began
    print(f"{case}: {detection.severity} after {took:.1f} s: {detection.message}")
    assert took < SECONDS_TO_SEE


def test_a_label_on_a_role_that_readers_hold_already(server, watched):
    apply(server, binding("e2e-more-readers", "view", group("more-readers")))
    apply(server, cluster_role("e2e-nodes", rule("get", "nodes/proxy"), labels={f"{RBAC}/aggregate-to-view": "true"}))
    assert watched.seen("k8s-rights-by-aggregation", "readers-became-more", "e2e-nodes").severity == "P2"


def test_a_webhook_that_begins_to_let_failures_pass(server, watched):
    client = {"service": {"namespace": "shop", "name": "engine", "path": "/validate"}}
    apply(server, webhook("e2e-engine", client, ["orders"]))
    time.sleep(1.5)
    apply(server, webhook("e2e-engine", client, ["orders"], failure_policy="Ignore"))
    watched.seen("k8s-webhook-configured", "lets-failures-pass", "e2e-engine")


def test_a_certificate_for_administrators_is_approved(server, watched):
    apply(server, certificate_request("e2e-masters", "mallory", "system:masters"))
    server.kubectl("certificate", "approve", "e2e-masters")
    detection = watched.seen("k8s-certificate-approved-for-another", "administrators", "e2e-masters")
    assert (detection.severity, detection.identity) == ("P1", "administrator")


def test_an_admission_policy_of_ours_is_removed(server, watched):
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "watchkeeper-e2e"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [{"apiGroups": ["shop.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["orders"]}]
            },
            "validations": [{"expression": "false"}],
        },
    }
    apply(server, policy)
    time.sleep(1.5)
    server.kubectl("delete", "validatingadmissionpolicy", "watchkeeper-e2e")
    watched.seen("k8s-admission-policy-weakened", "ours-removed", "watchkeeper-e2e")


def test_the_account_that_rights_waited_for_is_made(server, watched):
    apply(server, binding("e2e-waiting", "cluster-admin", account("default", "late")))
    watched.seen("k8s-rights-claimable", "added", "default:late")
    server.kubectl("create", "serviceaccount", "late")
    watched.seen("k8s-rights-claimable", "claimed", "default:late")


def test_a_message_says_who_can_act_as_the_subject(server, watched):
    server.kubectl("create", "serviceaccount", "robot")
    apply(
        server,
        cluster_role("e2e-minter", rule("create", "serviceaccounts/token")),
        {**binding("e2e-minter", "e2e-minter", user("operator-of-robots")), "kind": "RoleBinding", "metadata": {"name": "e2e-minter", "namespace": "default"}},
    )
    time.sleep(1.5)
    apply(server, binding("e2e-robot", "cluster-admin", account("default", "robot")))
    assert "operator-of-robots" in watched.seen("k8s-rights-cluster-admin", "granted", "default:robot").message


def test_after_a_restart_only_what_changed_meanwhile_is_told(server, tmp_path):
    apply(server, binding("e2e-before", "cluster-admin", user("before")))
    with WatchedRights(server.kubeconfig, tmp_path / "store.db") as watched:
        watched.seen("k8s-rights-present", "takes-over", "before holds")
        told = {one.id for one in watched.detections()}
    apply(server, binding("e2e-meanwhile", "cluster-admin", user("meanwhile")))
    with WatchedRights(server.kubeconfig, tmp_path / "store.db") as watched:
        watched.seen("k8s-rights-cluster-admin", "granted", "meanwhile can do anything")
        new = [one for one in watched.detections() if one.id not in told]
    assert {(one.policy, one.rule) for one in new} == {("k8s-rights-cluster-admin", "granted")}


def test_changes_during_a_restart_of_the_api_server_are_told(server, watched):
    server.restart(kill=True)
    apply(server, binding("e2e-restarted", "cluster-admin", user("restarted")))
    watched.seen("k8s-rights-cluster-admin", "granted", "restarted can do anything")
