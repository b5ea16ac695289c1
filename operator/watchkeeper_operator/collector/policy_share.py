"""Which policies a node is told: those that can match what runs there, with their exceptions and lists, and no others. Pure."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_detection.policy import ROOT_NAMESPACE
from watchkeeper_detection.vocabulary import kernel
from watchkeeper_operator.selectors import selects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchkeeper_operator.collector.cluster_view import Runs
    from watchkeeper_operator.policy_objects import Written

KERNEL_KINDS = frozenset(kind.name for kind in kernel.KINDS)


class Share(NamedTuple):
    """Objects for one node, in the order of the judgement."""

    policies: tuple[Written, ...]
    exceptions: tuple[Written, ...]
    lists: tuple[Written, ...]


def share_of(in_force: Sequence[Written], pods: Iterable[Runs], node_labels: Mapping[str, str]) -> Share:
    """`pods`: those bound to the node. What belongs to no pod, the host itself, is covered by root policies without `namespaces`."""
    pods = list(pods)
    by_kind: dict[str, list[Written]] = {"RuntimePolicy": [], "PolicyException": [], "PolicyList": []}
    for written in in_force:
        by_kind[written.key.kind].append(written)
    policies = tuple(one for one in by_kind["RuntimePolicy"] if can_match(one, pods, node_labels))
    names = {(one.key.namespace, one.key.name) for one in policies}
    here = {one.namespace for one in pods}
    exceptions = tuple(one for one in by_kind["PolicyException"] if _is_wanted(one, names, here))
    reading = {namespace for namespace, _ in names} | {ROOT_NAMESPACE}
    lists = tuple(one for one in by_kind["PolicyList"] if one.key.namespace in reading) if policies else ()
    return Share(policies, exceptions, lists)


def can_match(policy: Written, pods: Sequence[Runs], node_labels: Mapping[str, str]) -> bool:
    """Whether anything that happens on a node of these labels with these pods can concern the policy."""
    if not any(kind in KERNEL_KINDS for kind in _kinds(policy.spec)):
        return False
    scope = policy.spec.get("scope") or {}
    if not selects(scope.get("nodeSelector"), node_labels):
        return False
    namespace, namespaces = policy.key.namespace, scope.get("namespaces") or {}
    selector = scope.get("podSelector")
    if namespace == ROOT_NAMESPACE and not namespaces.get("include") and not selector:
        return True
    return any(_covers(namespace, namespaces, one.namespace) and selects(selector, one.labels) for one in pods)


def _covers(policy_namespace: str, namespaces: Mapping[str, Any], namespace: str) -> bool:
    if policy_namespace != ROOT_NAMESPACE:
        return namespace == policy_namespace
    include, exclude = namespaces.get("include") or ("*",), namespaces.get("exclude") or ()
    return any(fnmatchcase(namespace, one) for one in include) and not any(fnmatchcase(namespace, one) for one in exclude)


def _kinds(spec: Mapping[str, Any]) -> Iterable[str]:
    for rule in spec.get("rules") or ():
        yield from rule.get("on") or ()
        for step in (rule.get("sequence") or {}).get("steps") or ():
            yield from step.get("on") or ()


def _is_wanted(exception: Written, policies: set[tuple[str, str]], here: set[str]) -> bool:
    """A namespace's exception is for its own policies, and holds back only what its own workloads do."""
    namespace, policy = exception.key.namespace, exception.spec.get("policy")
    if namespace == ROOT_NAMESPACE:
        return any(name == policy for _, name in policies)
    return namespace in here and ((namespace, policy) in policies or (ROOT_NAMESPACE, policy) in policies)
