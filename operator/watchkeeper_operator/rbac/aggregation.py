"""Rules that a role has in effect: its own, and those that labels of other cluster roles put into it.

The controller copies them into the role a moment later; a label is told at once, and also where no controller runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchkeeper_operator.rbac.shapes import Requirement, Role, Rule, Selector

DEPTH = 8  # roles of roles of roles: the built-in ones are three deep


class Effective(NamedTuple):
    """A rule, whether aggregation put it there, and the cluster role it came from (empty where that is gone)."""

    rule: Rule
    aggregated: bool
    source: str


def effective_rules(role: Role, cluster_roles: Mapping[str, Role]) -> list[Effective]:
    """Each rule once, in order."""
    if role.aggregation_rule is None:
        return [Effective(rule, aggregated=False, source="") for rule in dict.fromkeys(role.rules or ())]
    sources: dict[Rule, str] = {}
    _collect(role, cluster_roles, sources, {role.metadata.name}, DEPTH)
    copied = {rule: "" for rule in role.rules or () if rule not in sources}
    return [Effective(rule, aggregated=True, source=source) for rule, source in {**sources, **copied}.items()]


def _collect(role: Role, cluster_roles: Mapping[str, Role], sources: dict[Rule, str], seen: set[str], depth: int) -> None:
    if role.aggregation_rule is None or not depth:
        return
    selectors = role.aggregation_rule.cluster_role_selectors or ()
    for name in sorted(cluster_roles):
        other = cluster_roles[name]
        if name in seen or not any(selects(one, other.metadata.labels or {}) for one in selectors):
            continue
        seen.add(name)
        _collect(other, cluster_roles, sources, seen, depth - 1)
        for rule in other.rules or ():
            sources.setdefault(rule, name)


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """As Kubernetes selects; an empty selector selects everything."""
    return all(labels.get(key) == value for key, value in (selector.match_labels or {}).items()) and all(
        _meets(one, labels) for one in selector.match_expressions or ()
    )


def _meets(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement.key), requirement.values or ()
    match requirement.operator:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def aggregating(roles: Iterable[Role]) -> list[str]:
    """Names of the cluster roles that take rules from others."""
    return [role.metadata.name for role in roles if role.aggregation_rule is not None]
