"""Grants of the Kubernetes API, as the operator's own watch of roles and bindings sees them: state and changes, also when the audit log is off.

One event per grant: one subject holding one rule of one role through one binding. What `create pods` really means is in kubernetes.io/docs/concepts/security/rbac-good-practices.
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (
    Kind("rbac.grant", "A subject holds, gained or lost a right in the Kubernetes API.", ("rbac",)),
    Kind("rbac.object", "An object that decides about rights or requests appeared, changed or went: role, binding, webhook, certificate request.", ("rbac",)),
)

FIELDS = (
    Field("rbac.change", "string", "`present` (found at start), `added`, `changed` or `removed`."),
    Field("rbac.subject_kind", "string", "`User`, `Group` or `ServiceAccount`."),
    Field("rbac.subject_name", "string", "Name of the subject.", untrusted=True),
    Field("rbac.subject_namespace", "string", "Namespace of a service account."),
    Field("rbac.subject_id", "string", "The subject as `identity.id` spells it: `system:serviceaccount:NS:NAME`, a user, `group:NAME`."),
    Field("rbac.subject_exists", "bool", "Whether a service account of that name exists; one that does not can be claimed by whoever creates it."),
    Field("rbac.namespace", "string", "Namespace that the right is for; absent when it is for the whole cluster."),
    Field("rbac.cluster_wide", "bool", "Whether the right is for the whole cluster."),
    Field("rbac.api_groups", "list(string)", "API groups of the rule; empty text is the core group, `*` all."),
    Field("rbac.resources", "list(string)", "Resources of the rule, subresources as `pods/exec`; `*` all."),
    Field("rbac.resource_names", "list(string)", "Names that the rule is limited to; absent when it is not.", untrusted=True),
    Field("rbac.verbs", "list(string)", "Verbs of the rule; `*` all."),
    Field("rbac.non_resource_urls", "list(string)", "URLs of the rule that are no resources."),
    Field(
        "rbac.risks",
        "list(string)",
        "What the right amounts to: `cluster_admin`, `escalate`, `bind`, `impersonate`, `read_secrets`, `mint_tokens`, `run_in_pods`, `create_pods`, …",
    ),
    Field("rbac.can_become", "list(string)", "Workloads and people that can act as the subject, canonical ids, at most 50.", untrusted=True),
    Field("rbac.can_become_count", "int", "How many there are."),
    Field("rbac.role_kind", "string", "`Role` or `ClusterRole`."),
    Field("rbac.role_name", "string", "Name of the role.", untrusted=True),
    Field("rbac.role_aggregated", "bool", "Whether the rule came into the role by aggregation: a label on another role put it there."),
    Field("rbac.role_built_in", "bool", "Whether the role is one that the API server makes and repairs itself."),
    Field("rbac.binding_kind", "string", "`RoleBinding` or `ClusterRoleBinding`."),
    Field("rbac.binding_name", "string", "Name of the binding.", untrusted=True),
    Field("rbac.object_kind", "string", "Kind of the object that changed, such as `MutatingWebhookConfiguration`."),
    Field("rbac.object_name", "string", "Name of the object that changed.", untrusted=True),
    Field("rbac.object_uid", "string", "UID of the object that changed."),
    Field("rbac.resource_version", "string", "Version of the object that the event was made from."),
    Field("rbac.manager", "string", "Field manager of the last change, as the object's own record names it.", untrusted=True),
    Field(
        "rbac.object",
        "dyn",
        "The object itself, field-trimmed: webhook rules and addresses, signer and usages of a certificate request.",
        open=True,
        untrusted=True,
    ),
)
