"""What an audit policy logs of a request: the API server's own rules of matching, so that a policy can be judged without one.

Source of the facts: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/ and k8s.io/apiserver/pkg/audit/policy (first
matching rule decides; a request that none matches is not logged).
"""

from __future__ import annotations

from importlib.resources import files
from typing import Literal

import msgspec
import yaml

Level = Literal["None", "Metadata", "Request", "RequestResponse"]
Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]
LEVELS: tuple[Level, ...] = ("None", "Metadata", "Request", "RequestResponse")


class GroupResources(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


class PolicyRule(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    level: Level
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = msgspec.field(default=(), name="nonResourceURLs")
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool | None = None


class Policy(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """An audit Policy of audit.k8s.io/v1."""

    rules: tuple[PolicyRule, ...]
    api_version: Literal["audit.k8s.io/v1"]
    kind: Literal["Policy"]
    omit_stages: tuple[Stage, ...] = ()
    omit_managed_fields: bool = False
    metadata: dict[str, object] = {}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request as audit policies see it; `path` for one that is for no resource."""

    user: str
    groups: tuple[str, ...] = ()
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


class Logged(msgspec.Struct, frozen=True):
    level: Level
    omitted: frozenset[str]


def read_policy(text: str | bytes) -> Policy:
    """Raises ValueError: no audit policy, or one with fields that the API server would refuse."""
    try:
        return msgspec.convert(yaml.safe_load(text), Policy)
    except (yaml.YAMLError, msgspec.ValidationError) as wrong:
        raise ValueError(f"no audit policy: {wrong}") from None


def shipped_text() -> str:
    return files("watchkeeper_operator.audit").joinpath("policy.yaml").read_text("utf-8")


def logged(policy: Policy, asked: Asked) -> Logged:
    """Level and omitted stages of a request."""
    rule = next((rule for rule in policy.rules if _covers(rule, asked)), None)
    if rule is None:
        return Logged("None", frozenset())
    return Logged(rule.level, frozenset((*policy.omit_stages, *rule.omit_stages)))


def _covers(rule: PolicyRule, asked: Asked) -> bool:
    if rule.users and asked.user not in rule.users:
        return False
    if rule.user_groups and not set(rule.user_groups) & set(asked.groups):
        return False
    if rule.verbs and asked.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        return _covers_resource(rule, asked)
    if rule.non_resource_urls:
        return bool(asked.path) and any(_covers_path(pattern, asked.path) for pattern in rule.non_resource_urls)
    return True


def _covers_path(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def _covers_resource(rule: PolicyRule, asked: Asked) -> bool:
    if not asked.resource or (rule.namespaces and asked.namespace not in rule.namespaces):
        return False
    return not rule.resources or any(_names(those, asked) for those in rule.resources)


def _names(those: GroupResources, asked: Asked) -> bool:
    if those.group != asked.group:
        return False
    if not those.resources:
        return True
    if those.resource_names and asked.name not in those.resource_names:
        return False
    combined = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    return any(
        pattern in (combined, "*") or (asked.subresource and pattern == f"*/{asked.subresource}") or pattern == f"{asked.resource}/*"
        for pattern in those.resources
    )
