"""What a rule of a role amounts to: rows, as docs/rbac.md explains them to users.

Sources of the rows: kubernetes.io/docs/concepts/security/rbac-good-practices, and what the API server does with the verbs
(kubernetes.io/docs/reference/access-authn-authz/rbac). A rule that is limited to names gives the risk with `_named` behind it, where a name can limit it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_operator.rbac.shapes import Rule, Texts

CLUSTER_ADMIN, NAMESPACE_ADMIN = "cluster_admin", "namespace_admin"
NAMED = "_named"
RBAC, ADMISSION, CERTIFICATES = "rbac.authorization.k8s.io", "admissionregistration.k8s.io", "certificates.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
WRITE = ("create", "update", "patch")
CHANGE = ("update", "patch")
REMOVE = ("delete", "deletecollection")
NAMELESS = frozenset({"create", "deletecollection"})  # a request for these names nothing: a rule with names never allows it, but of a subresource
SYSTEM_NAMESPACE = "kube-system"
KEPT_RULES = 8192


@dataclass(frozen=True, slots=True)
class Row:
    """A risk, and the requests of which one is enough.

    cluster_only    what it is about is in no namespace: a RoleBinding gives none of it
    namespace       it is one only there, or in the whole cluster
    strong_names    a rule that is limited to names gives the whole risk where one of them is such
    """

    risk: str
    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    cluster_only: bool = False
    namespace: str = ""
    strong_names: frozenset[str] = frozenset()


STRONG_ROLES = frozenset({"cluster-admin"})
STRONG_USERS = frozenset({"system:masters", "system:kube-controller-manager", "system:admin"})
STRONG_SIGNERS = frozenset({"kubernetes.io/kube-apiserver-client", "kubernetes.io/*"})

ROWS = (
    Row("escalate", RBAC, ("roles", "clusterroles"), ("escalate",), strong_names=STRONG_ROLES),
    Row("bind", RBAC, ("roles", "clusterroles"), ("bind",), strong_names=STRONG_ROLES),
    Row("write_roles", RBAC, ("roles", "clusterroles"), WRITE),
    Row("write_bindings", RBAC, ("rolebindings", "clusterrolebindings"), WRITE),
    Row("impersonate", "", ("users", "groups"), ("impersonate",), cluster_only=True, strong_names=STRONG_USERS),
    Row("impersonate", "", ("serviceaccounts",), ("impersonate",)),
    Row("impersonate_extra", AUTHENTICATION, ("userextras", "userextras/*", "uids"), ("impersonate",), cluster_only=True),
    Row("read_secrets", "", ("secrets",), ("list", "watch")),
    Row("get_secrets", "", ("secrets",), ("get", "patch")),  # a patch answers with the whole object, also as a dry run
    Row("create_secrets", "", ("secrets",), ("create",)),
    Row("mint_tokens", "", ("serviceaccounts/token",), ("create",)),
    Row("run_in_pods", "", ("pods/exec", "pods/attach"), ("create",)),
    Row("run_in_pods", "", ("pods/ephemeralcontainers",), CHANGE),
    Row("run_in_pods_by_get", "", ("pods/exec", "pods/attach"), ("get",)),  # enough before Kubernetes 1.35
    Row("forward_ports", "", ("pods/portforward",), ("create", "get")),
    Row("forward_ports", "", ("pods/proxy", "services/proxy"), ("get", *WRITE, "delete")),
    Row("create_pods", "", ("pods",), ("create",)),
    Row("create_pods", "", ("replicationcontrollers",), WRITE),
    Row("create_pods", "apps", ("deployments", "daemonsets", "statefulsets", "replicasets"), WRITE),
    Row("create_pods", "batch", ("jobs", "cronjobs"), WRITE),
    Row("change_pods", "", ("pods",), CHANGE),
    Row("node_proxy", "", ("nodes/proxy",), ("get", *WRITE, "delete"), cluster_only=True),
    Row("write_node_status", "", ("nodes/status",), CHANGE, cluster_only=True),
    Row("write_pod_status", "", ("pods/status",), CHANGE),
    Row("write_service_status", "", ("services/status",), CHANGE),  # CVE-2020-8554
    Row("evict_pods", "", ("pods",), REMOVE),
    Row("evict_pods", "", ("pods/eviction",), ("create",)),
    Row("change_nodes", "", ("nodes",), (*CHANGE, "delete"), cluster_only=True),
    Row("write_webhooks", ADMISSION, ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"), WRITE, cluster_only=True),
    Row("write_webhooks", ADMISSION, ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"), WRITE, cluster_only=True),
    Row(
        "weaken_admission",
        ADMISSION,
        ("validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        (*CHANGE, *REMOVE),
        cluster_only=True,
    ),
    Row("request_certificates", CERTIFICATES, ("certificatesigningrequests",), ("create",), cluster_only=True),
    Row("approve_certificates", CERTIFICATES, ("certificatesigningrequests/approval",), CHANGE, cluster_only=True),
    Row("approve_signers", CERTIFICATES, ("signers",), ("approve",), cluster_only=True, strong_names=STRONG_SIGNERS),
    Row("sign_certificates", CERTIFICATES, ("signers",), ("sign",), cluster_only=True, strong_names=STRONG_SIGNERS),
    Row("write_system_configmaps", "", ("configmaps",), CHANGE, namespace=SYSTEM_NAMESPACE),  # aws-auth, coredns, kubeadm-config
    Row("create_service_accounts", "", ("serviceaccounts",), ("create",)),
    Row("change_service_accounts", "", ("serviceaccounts",), CHANGE),  # a cloud's role by annotation
    Row("change_namespaces", "", ("namespaces",), CHANGE),  # the labels of Pod Security; a namespace is in itself
    Row("write_endpoints", "", ("endpoints",), WRITE),
    Row("write_endpoints", "discovery.k8s.io", ("endpointslices",), WRITE),
    Row("extend_api", "apiregistration.k8s.io", ("apiservices",), WRITE, cluster_only=True),
    Row("extend_api", "apiextensions.k8s.io", ("customresourcedefinitions",), WRITE, cluster_only=True),
    Row("create_volumes", "", ("persistentvolumes",), ("create",), cluster_only=True),  # a host's folder
)

JOINED = (
    ("steal_pods", frozenset({"evict_pods", "change_nodes"})),
    ("issue_certificates", frozenset({"request_certificates", "approve_certificates", "approve_signers"})),
    ("make_token_secrets", frozenset({"create_secrets", "get_secrets"})),
    ("make_token_secrets", frozenset({"create_secrets", "read_secrets"})),
)
"""Risks of rights that are harmless apart: the grant that brings the last part has it."""
PARTS_ONLY = frozenset({"request_certificates", "create_service_accounts"})
"""Told as parts of others alone: ordinary by themselves."""


@lru_cache(KEPT_RULES)
def risks_of(rule: Rule, namespace: str | None) -> frozenset[str]:
    """Of one rule that is given for a namespace, or (None) for the whole cluster."""
    if rule.non_resource_urls and not rule.resources:
        return _of_urls(rule) if namespace is None else frozenset()
    if is_everything(rule):
        return frozenset({CLUSTER_ADMIN if namespace is None else NAMESPACE_ADMIN})
    found = {risk for row in ROWS if (risk := _risk(row, rule, namespace))}
    names = NAMED if rule.resource_names else ""
    verbs, resources = rule.verbs or (), rule.resources or ()
    if "*" in verbs and resources:
        found.add("wildcard_verbs" + names)
    if "*" in resources:
        found.add("wildcard_resources" + names)
    if any(verb.startswith(("impersonate:", "impersonate-on:")) for verb in verbs):
        found.add("impersonate_constrained" + names)
    return frozenset(found)


def is_everything(rule: Rule) -> bool:
    """Whether the rule allows every request for resources."""
    return "*" in (rule.verbs or ()) and "*" in (rule.api_groups or ()) and "*" in (rule.resources or ()) and not rule.resource_names


def joined(held: Iterable[str]) -> frozenset[str]:
    """Risks that only several rights make together."""
    parts = frozenset(held)
    return frozenset(risk for risk, needed in JOINED if needed <= parts)


def parts_of(risk: str) -> frozenset[str]:
    """The rights of which any is a part of a joined risk."""
    return frozenset().union(*(needed for name, needed in JOINED if name == risk))


def allows(rule: Rule, group: str, resource: str, verbs: Iterable[str]) -> frozenset[str]:
    """Those of the verbs that the rule allows for a resource, names aside."""
    groups = rule.api_groups or ()
    if (group not in groups and "*" not in groups) or not _names(rule.resources or (), resource):
        return frozenset()
    allowed = rule.verbs or ()
    return frozenset(verbs) if "*" in allowed else frozenset(verbs).intersection(allowed)


def _names(resources: Texts, wanted: str) -> bool:
    """As RBAC matches: `*` is every resource and subresource, `*/scale` one subresource of every resource."""
    if wanted in resources or "*" in resources:
        return True
    main, _, below = wanted.partition("/")
    if below == "*":
        return any(one.startswith(f"{main}/") for one in resources)
    return bool(below) and f"*/{below}" in resources


def _risk(row: Row, rule: Rule, namespace: str | None) -> str:
    if namespace is not None and (row.cluster_only or row.namespace not in ("", namespace)):
        return ""
    found: frozenset[str] = frozenset()
    for resource in row.resources:
        verbs = allows(rule, row.group, resource, row.verbs)
        if rule.resource_names and "/" not in resource:
            verbs -= NAMELESS
        found |= verbs
    is_limited = bool(rule.resource_names) and row.strong_names.isdisjoint(rule.resource_names or ())
    return row.risk + (NAMED if is_limited else "") if found else ""


def _of_urls(rule: Rule) -> frozenset[str]:
    urls = rule.non_resource_urls or ()
    if "*" in urls or "/*" in urls:
        return frozenset({"any_url"})
    return frozenset({"debug_urls"}) if any(url.startswith(("/debug", "/logs", "/metrics")) for url in urls) else frozenset()
