"""What each account of ours may do, and which module needs it: the manifests, the source and a real API server are each held to this table."""

from __future__ import annotations

from typing import NamedTuple

from watchkeeper_operator.names import ACT_ACCOUNT, CA_BUNDLE, CA_SECRET, CANARY_ACCOUNT, COLLECTOR_SECRET, OBSERVE_ACCOUNT, OPERATOR_LEASE, SYSTEM_NAMESPACE

EVERYWHERE = ""
HERE = SYSTEM_NAMESPACE
ENTRIES = {ACT_ACCOUNT: "watchkeeper_operator.main", OBSERVE_ACCOUNT: "watchkeeper_operator.collector.process"}


class Right(NamedTuple):
    """`resource`: `group/plural` or `plural` of the core group, with `/subresource`, or a path; `modules`: of watchkeeper_operator; `names`: none is any."""

    verbs: str
    resource: str
    modules: str
    namespace: str = EVERYWHERE
    names: tuple[str, ...] = ()


ADMISSION = "admissionregistration.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
AUTHORIZATION = "authorization.k8s.io"
RBAC = "rbac.authorization.k8s.io"

RIGHTS: dict[str, tuple[Right, ...]] = {
    ACT_ACCOUNT: (
        Right("list watch", "watchkeeper.dev/runtimepolicies", "policy_set"),
        Right("list watch", "watchkeeper.dev/policyexceptions", "policy_set"),
        Right("list watch", "watchkeeper.dev/policylists", "policy_set"),
        Right("patch", "watchkeeper.dev/runtimepolicies/status", "policy_status_writing"),
        Right("patch", "watchkeeper.dev/policyexceptions/status", "policy_status_writing"),
        Right("patch", "watchkeeper.dev/policylists/status", "policy_status_writing"),
        Right("list watch", "watchkeeper.dev/sensors", "handlers.sensors sensors.running"),
        Right("patch", "watchkeeper.dev/sensors/status", "sensors.running"),
        Right("list create patch delete", "watchkeeper.dev/nodesensors", "sensors.running"),
        Right("patch", "watchkeeper.dev/nodesensors/status", "sensors.running"),
        Right("list", "watchkeeper.dev/logsources", "audit.watching"),
        Right("patch", "watchkeeper.dev/logsources/status", "audit.watching"),
        Right("list watch create patch delete", "watchkeeper.dev/incidents", "incidents.projection"),
        Right("patch", "watchkeeper.dev/incidents/status", "incidents.projection"),
        Right("list watch", "pods", "rbac.watching sensors.following"),
        Right("list watch", "nodes", "sensors.following"),
        Right("list watch", "serviceaccounts", "rbac.watching"),
        *(Right("list watch", f"{RBAC}/{plural}", "rbac.watching") for plural in ("roles", "clusterroles", "rolebindings", "clusterrolebindings")),
        *(Right("list watch", f"{ADMISSION}/{sort}webhookconfigurations", "rbac.watching") for sort in ("validating", "mutating")),
        *(Right("list watch", f"{ADMISSION}/{sort}admissionpolicies", "rbac.watching") for sort in ("validating", "mutating")),
        *(Right("list watch", f"{ADMISSION}/{sort}admissionpolicybindings", "rbac.watching") for sort in ("validating", "mutating")),
        Right("list watch", "certificates.k8s.io/certificatesigningrequests", "rbac.watching"),
        Right("list watch", "apiregistration.k8s.io/apiservices", "rbac.watching"),
        Right("create", "events.k8s.io/events", "own_events"),
        Right("create", f"{AUTHENTICATION}/tokenreviews", "serving"),
        Right("create", f"{AUTHORIZATION}/subjectaccessreviews", "serving"),
        Right("get", "/metrics", "audit.watching"),
        Right("create", "coordination.k8s.io/leases", "leadership", HERE),
        Right("get update", "coordination.k8s.io/leases", "leadership", HERE, (OPERATOR_LEASE,)),
        Right("create", "secrets", "authority.keeping", HERE),
        Right("get update", "secrets", "authority.keeping", HERE, (CA_SECRET,)),
        Right("get patch", "secrets", "authority.keeping", HERE, (COLLECTOR_SECRET,)),
        Right("create patch", "configmaps", "authority.keeping", HERE, (CA_BUNDLE,)),
        Right("get list watch create patch", "apps/daemonsets", "handlers.sensors sensors.running", HERE),
        Right("create", "serviceaccounts/token", "audit.canaries", HERE, (CANARY_ACCOUNT,)),
    ),
    OBSERVE_ACCOUNT: (
        Right("list watch", "watchkeeper.dev/runtimepolicies", "policy_set"),
        Right("list watch", "watchkeeper.dev/policyexceptions", "policy_set"),
        Right("list watch", "watchkeeper.dev/policylists", "policy_set"),
        Right("list watch", "watchkeeper.dev/sensors", "collector.watching"),
        Right("list", "watchkeeper.dev/logsources", "collector.audit_sources"),
        Right("get list watch", "pods", "collector.deliveries collector.tokens collector.watching"),
        Right("get list watch", "nodes", "collector.tokens collector.watching"),
        Right("get", "apps/daemonsets", "collector.tokens", HERE),
        Right("create", f"{AUTHENTICATION}/tokenreviews", "collector.tokens serving"),
        Right("create", f"{AUTHORIZATION}/subjectaccessreviews", "serving"),
    ),
}
