"""Parts of the objects that decide about rights, as the API server writes them. What nobody judges is never decoded."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

Texts: TypeAlias = tuple[str, ...]
Key: TypeAlias = tuple[str, str, str]
"""Kind, namespace (empty where it has none) and name."""


class Manager(msgspec.Struct, frozen=True, gc=False):
    """Who wrote an object, as it says itself."""

    manager: str = ""
    time: str | None = None


class Meta(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    managed_fields: tuple[Manager, ...] | None = None

    @property
    def last_manager(self) -> str:
        """The field manager with the latest time."""
        return max(self.managed_fields or (), key=lambda one: one.time or "", default=Manager()).manager


class Rule(msgspec.Struct, frozen=True, rename={"api_groups": "apiGroups", "resource_names": "resourceNames", "non_resource_urls": "nonResourceURLs"}):
    """What RBAC calls a PolicyRule."""

    verbs: Texts | None = None
    api_groups: Texts | None = None
    resources: Texts | None = None
    resource_names: Texts | None = None
    non_resource_urls: Texts | None = None


class Requirement(msgspec.Struct, frozen=True):
    key: str
    operator: str
    values: Texts | None = None


class Selector(msgspec.Struct, frozen=True, rename="camel"):
    match_labels: dict[str, str] | None = None
    match_expressions: tuple[Requirement, ...] | None = None


class AggregationRule(msgspec.Struct, frozen=True, rename="camel"):
    cluster_role_selectors: tuple[Selector, ...] | None = None


class Role(msgspec.Struct, frozen=True, rename="camel"):
    """A Role or a ClusterRole."""

    metadata: Meta
    rules: tuple[Rule, ...] | None = None
    aggregation_rule: AggregationRule | None = None


class Subject(msgspec.Struct, frozen=True):
    kind: str
    name: str
    namespace: str = ""


class RoleRef(msgspec.Struct, frozen=True):
    kind: str
    name: str


class Binding(msgspec.Struct, frozen=True, rename="camel"):
    """A RoleBinding or a ClusterRoleBinding."""

    metadata: Meta
    role_ref: RoleRef
    subjects: tuple[Subject, ...] | None = None


class CloudRoles(
    msgspec.Struct,
    frozen=True,
    gc=False,
    rename={"aws": "eks.amazonaws.com/role-arn", "gcp": "iam.gke.io/gcp-service-account", "azure": "azure.workload.identity/client-id"},
):
    """Annotations by which a cloud gives a service account a role of its own."""

    aws: str | None = None
    gcp: str | None = None
    azure: str | None = None


class AccountMeta(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    annotations: CloudRoles | None = None


class Account(msgspec.Struct, frozen=True):
    """A ServiceAccount."""

    metadata: AccountMeta


class Owner(msgspec.Struct, frozen=True, gc=False):
    kind: str
    name: str
    controller: bool = False


class PodLabels(msgspec.Struct, frozen=True, gc=False, rename={"template_hash": "pod-template-hash"}):
    template_hash: str = ""


class PodMeta(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    name: str
    namespace: str = ""
    owner_references: tuple[Owner, ...] | None = None
    labels: PodLabels | None = None


class PodSpec(msgspec.Struct, frozen=True, rename="camel", gc=False):
    service_account_name: str = "default"


class Pod(msgspec.Struct, frozen=True, gc=False):
    metadata: PodMeta
    spec: PodSpec = PodSpec()


class Other(msgspec.Struct, frozen=True, rename="camel"):
    """A webhook configuration, an admission policy or its binding, a certificate request, an APIService: `trimming.py` says what is kept of it."""

    metadata: Meta
    webhooks: list[dict[str, Any]] | None = None
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


Watched: TypeAlias = Role | Binding | Account | Other
