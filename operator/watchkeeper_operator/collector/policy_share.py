"""Which policies a node is told: those that can match what runs there, with their exceptions and lists, and no others. Pure."""

from __future__ import annotations

from collections import defaultdict
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


def share_of(in_force: Sequence[Written], pods: Sequence[Runs], node_labels: Mapping[str, str]) -> Share:
    """For one node; who asks for many prepares `PolicyShares` once."""
    return PolicyShares(in_force).of(pods, node_labels)


class PolicyShares:
    """What is in force, prepared to be shared out among any number of nodes."""

    def __init__(self, in_force: Sequence[Written]) -> None:
        by_kind: defaultdict[str, list[Written]] = defaultdict(list)
        for written in in_force:
            by_kind[written.key.kind].append(written)
        self._policies = [policy for one in by_kind["RuntimePolicy"] if (policy := _Policy(one)).is_of_nodes]
        self._exceptions, self._lists = by_kind["PolicyException"], by_kind["PolicyList"]

    def of(self, pods: Sequence[Runs], node_labels: Mapping[str, str]) -> Share:
        """`pods`: those bound to the node. What belongs to no pod, the host itself, is covered by root policies that name no namespaces."""
        here = {one.namespace for one in pods}
        policies = tuple(one.written for one in self._policies if one.can_match(pods, here, node_labels))
        names = {(one.key.namespace, one.key.name) for one in policies}
        exceptions = tuple(one for one in self._exceptions if _is_wanted(one, names, here))
        reading = {namespace for namespace, _ in names} | {ROOT_NAMESPACE}
        lists = tuple(one for one in self._lists if one.key.namespace in reading) if policies else ()
        return Share(policies, exceptions, lists)


class _Policy:
    def __init__(self, written: Written) -> None:
        scope = written.spec.get("scope") or {}
        namespaces = scope.get("namespaces") or {}
        self.written = written
        self.is_of_nodes = any(kind in KERNEL_KINDS for kind in _kinds(written.spec))
        self._nodes, self._pods = scope.get("nodeSelector"), scope.get("podSelector")
        is_root = written.key.namespace == ROOT_NAMESPACE
        self._is_of_hosts = is_root and not namespaces.get("include") and not self._pods
        self._include = tuple(namespaces.get("include") or ("*",)) if is_root else (written.key.namespace,)
        self._exclude = tuple(namespaces.get("exclude") or ()) if is_root else ()
        self._covered: dict[str, bool] = {}

    def can_match(self, pods: Sequence[Runs], namespaces: Iterable[str], node_labels: Mapping[str, str]) -> bool:
        """Whether anything that happens on a node of these labels with these pods can concern the policy."""
        if not selects(self._nodes, node_labels):
            return False
        if self._is_of_hosts:
            return True
        if not self._pods:
            return any(self._covers(one) for one in namespaces)
        return any(self._covers(one.namespace) and selects(self._pods, one.labels) for one in pods)

    def _covers(self, namespace: str) -> bool:
        found = self._covered.get(namespace)
        if found is None:
            found = any(fnmatchcase(namespace, one) for one in self._include) and not any(fnmatchcase(namespace, one) for one in self._exclude)
            self._covered[namespace] = found
        return found


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
