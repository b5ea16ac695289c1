"""What a rule amounts to."""

from __future__ import annotations

import msgspec
import pytest
from tests.operator.rbac.objects import RBAC, rule

from watchkeeper_operator.rbac.risks import JOINED, ROWS, joined, risks_of
from watchkeeper_operator.rbac.shapes import Rule

EVERYWHERE = None
CASES = {
    "listing secrets returns what is in them": (rule("list", "secrets"), EVERYWHERE, {"read_secrets"}),
    "getting a secret needs its name": (rule("get", "secrets"), EVERYWHERE, {"get_secrets"}),
    "a patch answers with the whole secret": (rule("patch", "secrets"), EVERYWHERE, {"get_secrets"}),
    "a rule that is limited to names is told as such": (rule("get", "secrets", names="one"), EVERYWHERE, {"get_secrets_named"}),
    "creation is never allowed by a rule with names": (rule("create", "pods", names="one"), EVERYWHERE, set()),
    "creation of a subresource is": (rule("create", "serviceaccounts/token", names="one"), EVERYWHERE, {"mint_tokens_named"}),
    "reading pods is no risk": (rule("get list watch", "pods services configmaps"), EVERYWHERE, set()),
    "pods of another API group are other pods": (rule("create", "pods", "metrics.k8s.io"), EVERYWHERE, set()),
    "a rule for pods does not cover what is below them": (rule("create", "pods"), EVERYWHERE, {"create_pods"}),
    "exec by create": (rule("create", "pods/exec"), "shop", {"run_in_pods"}),
    "exec by get, as before 1.35": (rule("get", "pods/exec"), "shop", {"run_in_pods_by_get"}),
    "an ephemeral container runs in the pod": (rule("patch", "pods/ephemeralcontainers"), "shop", {"run_in_pods"}),
    "the subresource of every resource": (rule("create", "*/exec"), "shop", {"run_in_pods"}),
    "get of nodes/proxy alone reaches the kubelet": (rule("get", "nodes/proxy"), EVERYWHERE, {"node_proxy"}),
    "what is in no namespace is not given by a RoleBinding": (rule("get", "nodes/proxy"), "shop", set()),
    "users can't be impersonated by a RoleBinding": (rule("impersonate", "users groups"), "shop", set()),
    "accounts of the namespace can": (rule("impersonate", "serviceaccounts"), "shop", {"impersonate"}),
    "one harmless user": (rule("impersonate", "users", names="jenkins"), EVERYWHERE, {"impersonate_named"}),
    "the name of all administrators is the whole risk": (rule("impersonate", "groups", names="system:masters"), EVERYWHERE, {"impersonate"}),
    "constrained impersonation": (rule("impersonate:user-info", "users", "authentication.k8s.io"), EVERYWHERE, {"impersonate_constrained"}),
    "bind of view alone": (rule("bind", "clusterroles", RBAC, "view"), EVERYWHERE, {"bind_named"}),
    "bind of cluster-admin": (rule("bind", "clusterroles", RBAC, "cluster-admin"), EVERYWHERE, {"bind"}),
    "bind in another API group is another verb": (rule("bind", "clusterroles", "example.com"), EVERYWHERE, set()),
    "the signer of client certificates": (
        rule("approve", "signers", "certificates.k8s.io", "kubernetes.io/kube-apiserver-client"),
        EVERYWHERE,
        {"approve_signers"},
    ),
    "a signer of one's own": (rule("approve", "signers", "certificates.k8s.io", "example.com/*"), EVERYWHERE, {"approve_signers_named"}),
    "configmaps of kube-system": (rule("update", "configmaps"), "kube-system", {"write_system_configmaps"}),
    "configmaps elsewhere": (rule("update", "configmaps"), "shop", set()),
    "all verbs of one kind": (rule("*", "widgets", "example.com"), EVERYWHERE, {"wildcard_verbs"}),
    "everything": (rule("*", "*", "*"), EVERYWHERE, {"cluster_admin"}),
    "everything in a namespace": (rule("*", "*", "*"), "shop", {"namespace_admin"}),
    "every URL": ({"nonResourceURLs": ["*"], "verbs": ["get"]}, EVERYWHERE, {"any_url"}),
    "URLs are of no namespace": ({"nonResourceURLs": ["*"], "verbs": ["get"]}, "shop", set()),
    "a harmless URL": ({"nonResourceURLs": ["/healthz"], "verbs": ["get"]}, EVERYWHERE, set()),
    "a rule of nothing": ({"verbs": ["get"]}, EVERYWHERE, set()),
}


@pytest.mark.parametrize("sentence", CASES)
def test_what_a_rule_amounts_to(sentence):
    given, namespace, expected = CASES[sentence]
    assert risks_of(msgspec.convert(given, Rule), namespace) == expected


def test_reading_everything_reads_secrets_and_reaches_kubelets():
    risks = risks_of(msgspec.convert(rule("get list watch", "*", "*"), Rule), None)
    assert {"read_secrets", "get_secrets", "node_proxy", "wildcard_resources"} <= risks
    assert not risks & {"escalate", "bind", "impersonate", "create_pods"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.risk}-{row.resources[0]}-{row.verbs[0]}")
def test_each_verb_of_a_row_on_each_of_its_resources_is_enough(row):
    for resource in row.resources:
        for verb in row.verbs:
            wanted = resource.replace("*", "scopes")
            assert row.risk in risks_of(Rule(verbs=(verb,), api_groups=(row.group,), resources=(wanted,)), row.namespace or None)
            assert row.risk not in risks_of(Rule(verbs=(verb,), api_groups=("example.com",), resources=(wanted,)), row.namespace or None)


def test_a_joined_risk_needs_each_of_its_parts():
    for risk, parts in JOINED:
        assert risk in joined(parts)
        assert all(risk not in joined(parts - {part}) for part in parts)
