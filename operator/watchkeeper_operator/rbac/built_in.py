"""What the API server makes by itself at its start, as of Kubernetes 1.26 to 1.37.

By name, and by what the right amounts to: a built-in role that gives more than the API server puts into it, and a built-in binding
that names somebody else, are not built in any more. A label says nothing here: anybody can write it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_operator.rbac.risks import NAMED, joined

if TYPE_CHECKING:
    from watchkeeper_operator.rbac.shapes import Binding

_EVERYTHING_BUT_READING = (
    "approve_certificates change_namespaces change_nodes change_pods change_service_accounts create_pods extend_api forward_ports get_secrets node_proxy "
    "run_in_pods weaken_admission wildcard_resources write_bindings write_endpoints write_node_status write_pod_status write_roles write_service_status "
    "write_system_configmaps write_webhooks"
)
_EDIT = (
    "change_pods change_service_accounts create_pods create_secrets create_service_accounts evict_pods forward_ports get_secrets impersonate mint_tokens "
    "read_secrets run_in_pods run_in_pods_by_get write_system_configmaps write_endpoints"
)
CONTROLLERS = {
    "attachdetach-controller": "write_node_status",
    "bootstrap-signer": "write_system_configmaps read_secrets get_secrets",
    "certificate-controller": "approve_certificates approve_signers sign_certificates",
    "cloud-provider": "write_system_configmaps",
    "clusterrole-aggregation-controller": "escalate write_roles",
    "cronjob-controller": "create_pods evict_pods",
    "daemon-set-controller": "change_pods create_pods evict_pods",
    "deployment-controller": "change_pods create_pods",
    "device-taint-eviction-controller": "evict_pods write_pod_status",
    "disruption-controller": "write_pod_status",
    "endpoint-controller": "write_endpoints",
    "endpointslice-controller": "write_endpoints",
    "endpointslicemirroring-controller": "write_endpoints",
    "ephemeral-volume-controller": "",
    "expand-controller": "get_secrets",
    "generic-garbage-collector": f"{_EVERYTHING_BUT_READING} evict_pods read_secrets run_in_pods_by_get",
    "horizontal-pod-autoscaler": "wildcard_resources",
    "job-controller": "change_pods create_pods evict_pods",
    "kube-apiserver-serving-clustertrustbundle-publisher": "",
    "legacy-service-account-token-cleaner": "get_secrets",
    "namespace-controller": "change_nodes evict_pods forward_ports get_secrets node_proxy read_secrets run_in_pods_by_get weaken_admission wildcard_resources",
    "node-controller": "change_nodes evict_pods write_node_status write_pod_status",
    "persistent-volume-binder": "create_pods create_volumes evict_pods write_endpoints get_secrets",
    "pod-garbage-collector": "evict_pods write_pod_status change_nodes",
    "podcertificaterequestcleaner": "",
    "pv-protection-controller": "",
    "pvc-protection-controller": "",
    "replicaset-controller": "change_pods create_pods evict_pods",
    "replication-controller": "change_pods create_pods evict_pods",
    "resource-claim-controller": "write_pod_status",
    "resourcequota-controller": "read_secrets wildcard_resources",
    "root-ca-cert-publisher": "write_system_configmaps",
    "route-controller": "write_node_status",
    "selinux-warning-controller": "",
    "service-account-controller": "create_service_accounts",
    "service-cidrs-controller": "",
    "service-controller": "write_service_status",
    "statefulset-controller": "change_pods create_pods evict_pods",
    "storage-version-migrator-controller": f"{_EVERYTHING_BUT_READING} read_secrets",
    "token-cleaner": "read_secrets get_secrets",
    "ttl-after-finished-controller": "evict_pods",
    "ttl-controller": "change_nodes",
    "validatingadmissionpolicy-status-controller": "",
    "volumeattributesclass-protection-controller": "",
}
"""Name of a controller's service account → what its role `system:controller:NAME` amounts to."""

_ROLES = {
    "admin": f"{_EDIT} write_bindings write_roles",
    "cluster-admin": "any_url cluster_admin namespace_admin",
    "edit": _EDIT,
    "extension-apiserver-authentication-reader": "",
    "system::leader-locking-kube-controller-manager": "write_system_configmaps",
    "system::leader-locking-kube-scheduler": "write_system_configmaps",
    "system:aggregate-to-admin": "write_bindings write_roles",
    "system:aggregate-to-edit": _EDIT,
    "system:aggregate-to-view": "",
    "system:auth-delegator": "",
    "system:basic-user": "",
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": "",
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": "",
    "system:certificates.k8s.io:kube-apiserver-client-approver": "approve_signers",
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": "approve_signers",
    "system:certificates.k8s.io:kubelet-serving-approver": "approve_signers",
    "system:certificates.k8s.io:legacy-unknown-approver": "approve_signers",
    "system:cluster-trust-bundle-discovery": "",
    "system:discovery": "",
    "system:heapster": "",
    "system:kube-aggregator": "",
    "system:kube-controller-manager": "change_service_accounts create_secrets create_service_accounts get_secrets mint_tokens read_secrets wildcard_resources",
    "system:kube-dns": "",
    "system:kube-scheduler": "change_pods evict_pods write_pod_status",
    "system:kubelet-api-admin": "node_proxy wildcard_verbs",
    "system:monitoring": "debug_urls",
    "system:node": "change_nodes create_pods evict_pods get_secrets mint_tokens read_secrets request_certificates write_node_status write_pod_status",
    "system:node-bootstrapper": "request_certificates",
    "system:node-problem-detector": "write_node_status",
    "system:node-proxier": "",
    "system:persistent-volume-provisioner": "create_volumes get_secrets",
    "system:public-info-viewer": "",
    "system:service-account-issuer-discovery": "",
    "system:volume-scheduler": "",
    "view": "",
}


def _risks(words: str) -> frozenset[str]:
    parts = frozenset(words.split())
    return parts | joined(parts) | {part + NAMED for part in parts}


ROLE_RISKS = {name: _risks(words) for name, words in (*_ROLES.items(), *((f"system:controller:{name}", words) for name, words in CONTROLLERS.items()))}
"""Built-in role → all that it may amount to."""

_AUTHENTICATED, _UNAUTHENTICATED, _ACCOUNTS = "group:system:authenticated", "group:system:unauthenticated", "group:system:serviceaccounts"
_KUBE_CONTROLLER_MANAGER, _KUBE_SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
BINDING_SUBJECTS: dict[str, frozenset[str]] = {
    "cluster-admin": frozenset({"group:system:masters"}),
    "system:basic-user": frozenset({_AUTHENTICATED}),
    "system:cluster-trust-bundle-discovery": frozenset({_ACCOUNTS}),
    "system:discovery": frozenset({_AUTHENTICATED}),
    "system:kube-controller-manager": frozenset({_KUBE_CONTROLLER_MANAGER}),
    "system:kube-dns": frozenset({"system:serviceaccount:kube-system:kube-dns"}),
    "system:kube-scheduler": frozenset({_KUBE_SCHEDULER}),
    "system:monitoring": frozenset({"group:system:monitoring"}),
    "system:node": frozenset(),
    "system:node-proxier": frozenset({"system:kube-proxy"}),
    "system:public-info-viewer": frozenset({_AUTHENTICATED, _UNAUTHENTICATED}),
    "system:service-account-issuer-discovery": frozenset({_ACCOUNTS}),
    "system:volume-scheduler": frozenset({_KUBE_SCHEDULER}),
    "system::extension-apiserver-authentication-reader": frozenset({_KUBE_CONTROLLER_MANAGER, _KUBE_SCHEDULER}),
    "system::leader-locking-kube-controller-manager": frozenset(
        {
            _KUBE_CONTROLLER_MANAGER,
            "system:serviceaccount:kube-system:kube-controller-manager",
            "system:serviceaccount:kube-system:leader-election-controller",
        }
    ),
    "system::leader-locking-kube-scheduler": frozenset({_KUBE_SCHEDULER, "system:serviceaccount:kube-system:kube-scheduler"}),
    **{f"system:controller:{name}": frozenset({f"system:serviceaccount:kube-system:{name}"}) for name in CONTROLLERS},
}
"""Built-in binding → subjects that it names."""
_OTHER_ROLE = {"system::extension-apiserver-authentication-reader": "extension-apiserver-authentication-reader"}
NAMESPACES = frozenset({"", "kube-system", "kube-public"})

CONTROL_PLANE = frozenset(
    {
        *("group:system:masters", _KUBE_CONTROLLER_MANAGER, _KUBE_SCHEDULER, "system:apiserver", "system:kube-proxy", "group:system:nodes"),
        *(f"system:serviceaccount:kube-system:{name}" for name in CONTROLLERS),
    }
)
"""Identities that Kubernetes itself runs as: they can always act as anybody."""


def is_built_in_role(name: str, namespace: str, risks: frozenset[str]) -> bool | None:
    """Whether a right of a role that the API server makes amounts to no more than that; None for any other role."""
    return risks <= ROLE_RISKS[name] if namespace in NAMESPACES and name in ROLE_RISKS else None


def is_built_in_binding(binding: Binding, subject_id: str) -> bool | None:
    """Whether the API server itself names this subject in a binding that it makes; None for any other binding."""
    name = binding.metadata.name
    if binding.metadata.namespace not in NAMESPACES or name not in BINDING_SUBJECTS:
        return None
    return subject_id in BINDING_SUBJECTS[name] and binding.role_ref.name == _OTHER_ROLE.get(name, name)
