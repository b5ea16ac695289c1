"""What namespaces outside root may take: so much that one can't starve another, or make every node watch the costliest acts for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.cel.cost import cost
from watchkeeper_detection.cel.tree import Field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.policy import PolicyError, RuntimePolicy
    from watchkeeper_detection.policy_loading import Document
    from watchkeeper_detection.program import Rule

# What happens seldom, or is cheap to see; not: reads and writes of files, sends and system calls, whose hooks cost every program of the node.
EVENT_KINDS = frozenset(
    {
        *("process.exec", "process.exec_failed", "process.exit", "process.ptrace"),
        *("file.open", "file.create", "file.rename", "file.unlink", "file.chmod"),
        *("network.connect", "network.listen", "dns.question", "dns.answer"),
        *("isolation.setns", "isolation.unshare", "mount.mount", "container.start", "container.stop", "tty.inject"),
    }
)


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """Of each namespace but root.

    cost        of all its rules' conditions, in units of one comparison (`cel/cost.py`); a rule of the shipped library has 18 in the middle
    characters  of all its policies' and exceptions' expressions: what checking them costs
    """

    policies: int = 20
    rules: int = 100
    cost: int = 4000
    characters: int = 65_536
    exceptions: int = 50
    lists: int = 20
    list_characters: int = 65_536
    exception_days: int = 90
    event_kinds: frozenset[str] = EVENT_KINDS


@dataclass(slots=True)
class Taken:
    """What a namespace has taken so far, oldest objects first."""

    policies: int = 0
    rules: int = 0
    cost: int = 0
    characters: int = 0
    exceptions: int = 0
    lists: int = 0
    list_characters: int = 0

    def refuse(self, limits: TenantLimits, **more: int) -> str:
        """Why so much more is too much; "" when it is not, and it is then taken."""
        for name, count in more.items():
            limit = getattr(limits, name)
            if getattr(self, name) + count > limit:
                return f"with {getattr(self, name) + count} {name.replace('_', ' ')} the namespace would have more than the {limit} that it may"
        for name, count in more.items():
            setattr(self, name, getattr(self, name) + count)
        return ""


def characters_of(written: object) -> int:
    """Of all texts of a spec."""
    if isinstance(written, str):
        return len(written)
    if isinstance(written, dict):
        return sum(map(characters_of, written.values()))
    return sum(map(characters_of, written)) if isinstance(written, list) else 0


def cost_of(rules: Iterable[Rule]) -> int:
    """Of what is judged for each event: conditions, steps, `unless` and exceptions."""
    return sum(cost(node) for rule in rules for node in _conditions(rule))


def _conditions(rule: Rule) -> list[Node]:
    whens = [rule.when, *(guard.when for guard in (*rule.unless, *rule.exceptions))]
    if rule.sequence:
        whens += [part for step in rule.sequence.steps for part in (step.when, *step.joined)]
    return [when for when in whens if when is not None]


def kinds_not_allowed(policy: RuntimePolicy, document: Document, limits: TenantLimits) -> tuple[PolicyError, ...]:
    """Each place where a policy outside root asks for a kind of event that the cluster does not let it have."""
    errors = []
    for number, rule in enumerate(policy.spec.rules):
        places: list[tuple[tuple[str | int, ...], tuple[str, ...]]] = [(("spec", "rules", number, "on"), tuple(rule.on))]
        if rule.sequence:
            places = [(("spec", "rules", number, "sequence", "steps", at, "on"), tuple(step.on)) for at, step in enumerate(rule.sequence.steps)]
        errors += [
            document.place.error((*steps, at), f"policies in namespace {policy.namespace} may not read {kind}", "the cluster's owners may allow it")
            for steps, names in places
            for at, kind in enumerate(names)
            if kind not in limits.event_kinds
        ]
    return tuple(errors)


NODE = "node."
NODE_LABELS = "node.labels"  # scope.nodeSelector reads them: what it selects a tenant may say, what a label says no message tells


def fields_not_allowed(policy: RuntimePolicy, document: Document, rules: Iterable[Rule]) -> tuple[PolicyError, ...]:
    """Each rule outside root that reads which node its pods are on: facts of nodes are root's, and messages would carry them into the namespace."""
    numbers = {rule.name: number for number, rule in enumerate(policy.spec.rules)}
    errors = []
    for rule in rules:
        shown = {path for path in _fields(rule.message) if path.startswith(NODE)}
        asked = {path for path in _fields(rule) if path.startswith(NODE)} - {NODE_LABELS, *(("node.name",) if _selects_nodes(policy) else ())}
        errors += [
            document.place.error(
                ("spec", "rules", numbers[rule.rule]), f"policies in namespace {policy.namespace} may not read {path}", "facts of nodes are root's"
            )
            for path in sorted(shown | asked)
        ]
    return tuple(errors)


def _selects_nodes(policy: RuntimePolicy) -> bool:
    return policy.spec.scope is not None and policy.spec.scope.node_selector is not None


def _fields(part: object) -> Iterable[str]:
    """Paths of the vocabulary in a part of a rule."""
    if isinstance(part, Field):
        yield part.path
    elif isinstance(part, tuple):
        for each in part:
            yield from _fields(each)
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            yield from _fields(getattr(part, name))
