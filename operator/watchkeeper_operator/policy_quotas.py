"""What namespaces outside root may take: so much that one can't starve another, or make every node watch the costliest acts for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_detection.cel.cost import cost

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
