"""Who may do what, read from roles and bindings. No I/O. Groups are named, not taken apart: who is in one only the identity provider knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_operator.names import SYSTEM_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchkeeper_operator.rbac.shapes import Binding, Role, Rule, Subject

MASTERS = "system:masters"  # past all authorization: named in front of what RBAC says


class Act(NamedTuple):
    """`namespace`: where it counts; empty: only what is bound in the whole cluster does."""

    verbs: tuple[str, ...]
    group: str
    resources: tuple[str, ...]
    namespace: str = ""


class Grants(NamedTuple):
    """Everything that RBAC says in a cluster."""

    roles: Iterable[Role]
    cluster_roles: Iterable[Role]
    role_bindings: Iterable[Binding]
    cluster_role_bindings: Iterable[Binding]


def who_may(act: Act, grants: Grants) -> list[str]:
    """Subjects, each once, by name."""
    allowing = {("Role", one.metadata.namespace, one.metadata.name) for one in grants.roles if _allows(one, act)}
    allowing |= {("ClusterRole", "", one.metadata.name) for one in grants.cluster_roles if _allows(one, act)}
    found = {subject_words(subject) for binding in _bindings(act, grants) if _role_of(binding) in allowing for subject in binding.subjects or ()}
    return sorted(found)


def _bindings(act: Act, grants: Grants) -> Iterator[Binding]:
    yield from grants.cluster_role_bindings
    yield from (binding for binding in grants.role_bindings if act.namespace and binding.metadata.namespace == act.namespace)


def _role_of(binding: Binding) -> tuple[str, str, str]:
    where = binding.metadata.namespace if binding.role_ref.kind == "Role" else ""
    return binding.role_ref.kind, where, binding.role_ref.name


def _allows(role: Role, act: Act) -> bool:
    """Some of it: a rule for a few names counts as one for all."""
    return any(_rule_allows(rule, act) for rule in role.rules or ())


def _rule_allows(rule: Rule, act: Act) -> bool:
    return (
        _names(rule.verbs, act.verbs)
        and _names(rule.api_groups, (act.group,))
        and any(_names(rule.resources, (resource, *_below(resource))) for resource in act.resources)
    )


def _below(resource: str) -> tuple[str, ...]:
    """How else a subresource may be named."""
    _, slash, subresource = resource.partition("/")
    return (f"*/{subresource}",) if slash else ()


def _names(given: tuple[str, ...] | None, wanted: tuple[str, ...]) -> bool:
    return any(one == "*" or one in wanted for one in given or ())


def subject_words(subject: Subject) -> str:
    if subject.kind == "ServiceAccount":
        return f"account {subject.namespace}/{subject.name}"
    return f"{subject.kind.lower()} {subject.name}"


def is_usual(words: str) -> bool:
    """What every cluster has: its administrators' group, and its own controllers."""
    return words == f"group {MASTERS}" or words.startswith(("account kube-system/", "user system:kube-", f"account {SYSTEM_NAMESPACE}/"))
