"""What objects that are no roles do, and what is kept of them."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.operator.rbac.objects import World, gone, made

V, M = "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"
REQUEST, SERVICE = "CertificateSigningRequest", "APIService"
KEY = ec.generate_private_key(ec.SECP256R1())


def webhook(name="one", url=None, resources=("pods",), failure_policy="Fail", **parts):
    client = {"url": url} if url else {"service": {"namespace": "shop", "name": "engine"}}
    return {"name": name, "clientConfig": {**client, "caBundle": "Q0E="}, "rules": [{"resources": list(resources)}], "failurePolicy": failure_policy, **parts}


def request(common_name, *organizations, asker="maria", decisions=(), **parts):
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name), *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations)]
    pem = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = {"username": asker, "signerName": "kubernetes.io/kube-apiserver-client", "request": base64.b64encode(pem).decode(), **parts}
    return {"spec": spec, "status": {"conditions": [{"type": one, "status": "True"} for one in decisions]}}


TRAITS = {
    "a service of the cluster": (V, {"webhooks": [webhook()]}, []),
    "an address outside": (V, {"webhooks": [webhook(url="https://203.0.113.9/x")]}, ["calls_out"]),
    "a service by URL": (V, {"webhooks": [webhook(url="https://engine.shop.svc:8443/x")]}, []),
    "this node by URL": (V, {"webhooks": [webhook(url="https://127.0.0.1:8443/x")]}, []),
    "a name that only begins like a service": (V, {"webhooks": [webhook(url="https://engine.shop.svcs.example.com/x")]}, ["calls_out"]),
    "a service by its whole name": (V, {"webhooks": [webhook(url="https://engine.shop.svc.cluster.local./x")]}, []),
    "a name with a service's within": (V, {"webhooks": [webhook(url="https://engine.shop.svc.example.com/x")]}, ["calls_out"]),
    "a name that only begins like this node": (V, {"webhooks": [webhook(url="https://localhost.example.com/x")]}, ["calls_out"]),
    "a user name that looks like this node": (V, {"webhooks": [webhook(url="https://localhost@203.0.113.9/x")]}, ["calls_out"]),
    "secrets": (M, {"webhooks": [webhook(resources=("secrets",))]}, ["sees_secrets"]),
    "everything": (M, {"webhooks": [webhook(resources=("*/*",))]}, ["sees_secrets"]),
    "failures pass": (M, {"webhooks": [webhook(failure_policy="Ignore")]}, ["lets_failures_pass"]),
    "nothing at all": (M, {}, []),
    "a user asks for itself": (REQUEST, request("maria"), []),
    "a user asks for another": (REQUEST, request("tom"), ["asks_for_another"]),
    "administrators": (REQUEST, request("maria", "system:masters"), ["asks_for_administrators"]),
    "administrators among others": (REQUEST, request("maria", "staff", "system:masters"), ["asks_for_administrators"]),
    "the scheduler": (REQUEST, request("system:kube-scheduler"), ["asks_for_another", "asks_for_control_plane"]),
    "an account": (REQUEST, request("system:serviceaccount:shop:cart"), ["asks_for_another", "asks_for_control_plane"]),
    "a node for itself": (REQUEST, request("system:node:one", asker="system:node:one"), []),
    "a node that joins": (REQUEST, request("system:node:one", asker="system:bootstrap:abcdef"), []),
    "a node by a person": (REQUEST, request("system:node:one"), ["asks_for_node"]),
    "approved": (REQUEST, request("maria", decisions=["Approved"]), ["approved"]),
    "denied": (REQUEST, request("maria", decisions=["Denied"]), []),
    "no request": (REQUEST, {"spec": {"username": "maria", "request": "bm90aGluZw=="}}, ["asks_for_what_is_unreadable"]),
    "no base64": (REQUEST, {"spec": {"username": "maria", "request": "\u0000"}}, ["asks_for_what_is_unreadable"]),
    "an extension of the API": (SERVICE, {"spec": {"group": "metrics.k8s.io", "service": {"name": "m"}}}, []),
    "a part of the API itself": (SERVICE, {"spec": {"group": "rbac.authorization.k8s.io", "service": {"name": "m"}}}, ["serves_built_in_group"]),
    "the core of the API": (SERVICE, {"spec": {"service": {"name": "m"}}}, ["serves_built_in_group"]),
    "whoever answers": (SERVICE, {"spec": {"group": "a.b", "service": {"name": "m"}, "insecureSkipTLSVerify": True}}, ["trusts_whoever_answers"]),
    "a binding that refuses": ("ValidatingAdmissionPolicyBinding", {"spec": {"validationActions": ["Deny", "Audit"]}}, []),
    "a binding that only notes": ("ValidatingAdmissionPolicyBinding", {"spec": {"validationActions": ["Audit"]}}, ["refuses_nothing"]),
    "a cloud's role": ("ServiceAccount", {"metadata": {"annotations": {"iam.gke.io/gcp-service-account": "x@y"}}}, ["cloud_role"]),
    "another annotation": ("ServiceAccount", {"metadata": {"annotations": {"note": "x@y"}}}, []),
}


@pytest.mark.parametrize("sentence", TRAITS)
def test_what_an_object_does(sentence):
    kind, parts, expected = TRAITS[sentence]
    (told,) = World().told_objects(made(kind, "one", **parts))
    assert told["risks"] == expected


GAINED = {
    "one webhook of two lets failures pass": (
        {"webhooks": [webhook("a", failure_policy="Ignore"), webhook("b")]},
        {"webhooks": [webhook("a", failure_policy="Ignore"), webhook("b", failure_policy="Ignore")]},
        ["lets_failures_pass"],
    ),
    "another address outside": (
        {"webhooks": [webhook(url="https://203.0.113.9/x")]},
        {"webhooks": [webhook(url="https://198.51.100.7/x")]},
        ["calls_out"],
    ),
    "fewer namespaces": (
        {"webhooks": [webhook()]},
        {"webhooks": [webhook(namespaceSelector={"matchLabels": {"checked": "true"}})]},
        ["looks_elsewhere"],
    ),
    "a webhook more": ({"webhooks": [webhook("a")]}, {"webhooks": [webhook("a"), webhook("b")]}, []),
    "failures no longer pass": ({"webhooks": [webhook(failure_policy="Ignore")]}, {"webhooks": [webhook()]}, []),
}


@pytest.mark.parametrize("sentence", GAINED)
def test_what_a_changed_webhook_gains(sentence):
    before, after, expected = GAINED[sentence]
    (told,) = World(made(V, "one", **before)).told_objects(made(V, "one", **after))
    assert (told["change"], told["gained"]) == ("changed", expected)


def test_a_renewed_authority_and_an_issued_certificate_are_no_news_but_by_what_they_change():
    renewed = webhook()
    renewed["clientConfig"]["caBundle"] = "QUE="
    assert World(made(V, "one", webhooks=[webhook()])).changes(made(V, "one", webhooks=[renewed])) == []
    approved = request("tom", decisions=["Approved"])
    issued = {**approved, "status": {**approved["status"], "certificate": "Q0E="}}
    (told,) = World(made(REQUEST, "one", **approved)).told_objects(made(REQUEST, "one", **issued))
    assert (told["object"]["status"]["issued"], told["gained"]) == (True, [])


def test_certificates_and_their_bytes_are_not_kept():
    (told,) = World().told_objects(made(REQUEST, "one", **request("tom", decisions=["Approved"])))
    assert "request" not in told["object"]["spec"]
    assert told["object"]["spec"]["subject"] == {"commonName": "tom", "organizations": []}


def test_parts_of_the_api_that_the_api_server_serves_itself_decide_nothing():
    with pytest.raises(ValueError, match="decides nothing"):
        made(SERVICE, "v1.apps", spec={"group": "apps", "version": "v1"})


def test_what_is_removed_is_told_with_what_it_was():
    fence = made("ValidatingAdmissionPolicy", "watchkeeper-fence", spec={"failurePolicy": "Fail", "validations": [{"expression": "false"}]})
    (told,) = World(fence).told_objects(gone(fence))
    assert (told["change"], told["object"]["spec"]["validations"]) == ("removed", [{"expression": "false"}])
