"""Grants of the Kubernetes API, as the operator's own watch of roles and bindings sees them: state and changes, also when the audit log is off.

One event per grant: one subject holding one rule of one role through one binding. What `create pods` really means is in kubernetes.io/docs/concepts/security/rbac-good-practices.
Changes are told once they have settled for half a second: a folder that is applied in any order makes no accounts that do not exist.
"""

from watchkeeper_detection.fields import Field, Kind

KINDS = (
    Kind("rbac.grant", "A subject holds, gained or lost a right in the Kubernetes API.", ("rbac",)),
    Kind("rbac.object", "An object that decides about rights or requests appeared, changed or went: role, binding, webhook, certificate request.", ("rbac",)),
)

FIELDS = (
    Field("rbac.change", "string", "`present` (found at start), `added`, `changed` or `removed`."),
    Field(
        "rbac.cause",
        "string",
        "Whose change it was: `binding`, `role`, `aggregation` (a label on another role) or `service_account` (it appeared or went); absent for what was present.",
    ),
    Field("rbac.subject_kind", "string", "`User`, `Group` or `ServiceAccount`."),
    Field("rbac.subject_name", "string", "Name of the subject.", untrusted=True),
    Field("rbac.subject_namespace", "string", "Namespace of a service account."),
    Field(
        "rbac.subject_id",
        "string",
        "The subject as `identity.id` spells it: `system:serviceaccount:NS:NAME`, a user, `group:NAME`. Of a certificate request: who asked for it.",
    ),
    Field("rbac.subject_exists", "bool", "Whether a service account of that name exists; one that does not can be claimed by whoever creates it."),
    Field("rbac.subject_pods", "int", "How many pods run as the subject."),
    Field("rbac.subject_in_daemon_set", "bool", "Whether a DaemonSet runs as the subject: whoever is root on any of its nodes has its token."),
    Field("rbac.subject_risks", "list(string)", "All that the subject's rights amount to in this namespace, or in the whole cluster, by whatever binding."),
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
        "What the right amounts to; of an object: what all its rules, or it, do. As docs/rbac.md says: `cluster_admin`, `escalate`, `bind`, "
        "`impersonate`, `read_secrets`, `mint_tokens`, `run_in_pods`, `create_pods`, …; with `_named` at the end where the rule is limited to names.",
    ),
    Field(
        "rbac.gained",
        "list(string)",
        "Those of the risks that the subject did not have before in this namespace or cluster; of an object: that it did not have before.",
    ),
    Field(
        "rbac.can_become",
        "list(string)",
        "Workloads and people that can act as the subject, nearest first, canonical ids, at most 50: `namespaces/NS/deployments/NAME`, a user, `group:NAME`. "
        "Told of rights with risks; what Kubernetes itself runs, and `system:masters`, always can and are left out.",
        untrusted=True,
    ),
    Field("rbac.can_become_count", "int", "How many there are."),
    Field("rbac.role_kind", "string", "`Role` or `ClusterRole`."),
    Field("rbac.role_name", "string", "Name of the role.", untrusted=True),
    Field("rbac.role_aggregated", "bool", "Whether the rule came into the role by aggregation: a label on another role put it there."),
    Field("rbac.role_source", "string", "The cluster role whose label put the rule there.", untrusted=True),
    Field(
        "rbac.role_built_in",
        "bool",
        "Of a role that the API server makes and repairs itself: whether the right is no stronger than it makes it; absent for other roles.",
    ),
    Field("rbac.binding_kind", "string", "`RoleBinding` or `ClusterRoleBinding`."),
    Field("rbac.binding_name", "string", "Name of the binding.", untrusted=True),
    Field(
        "rbac.binding_built_in",
        "bool",
        "Of a binding that the API server makes itself: whether the subject is one that it names in it; absent for other bindings.",
    ),
    Field("rbac.untold", "int", "Grants of this binding that were left out because it has more than 10,000; those with risks are told first."),
    Field("rbac.object_kind", "string", "Kind of the object that changed, such as `MutatingWebhookConfiguration`."),
    Field("rbac.object_name", "string", "Name of the object that changed.", untrusted=True),
    Field("rbac.object_uid", "string", "UID of the object that changed."),
    Field("rbac.resource_version", "string", "Version of the object that the event was made from."),
    Field("rbac.manager", "string", "Field manager of the last change, as the object's own record names it.", untrusted=True),
    Field(
        "rbac.object",
        "dyn",
        "The object itself, field-trimmed: webhook rules and addresses, signer and usages of a certificate request (and `subject`, what its request names).",
        open=True,
        untrusted=True,
    ),
    Field("rbac.object_before", "dyn", "The object as it was before it changed, trimmed the same way.", open=True, untrusted=True),
)
