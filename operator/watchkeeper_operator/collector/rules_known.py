"""Rules that are in force, or lately were: a node that was cut off tells of what it found by older ones. Kept on disk, bounded."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchkeeper_detection.cel.tree import Field
from watchkeeper_detection.policy import ROOT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.program import Program, Rule

KEPT = 20_000
KEPT_NS = 7 * 86_400 * 10**9  # after it was last in force


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What is checked of a rule. `keys`: paths whose values a match carries as keys, by step; `until`: when it was last seen in force, ns."""

    namespace: str
    policy: str
    rule: str
    revision: str
    state_key: str
    kinds: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    until: int


class Name(NamedTuple):
    namespace: str
    policy: str
    rule: str
    revision: str


def known_of(rule: Rule, now: int) -> Known:
    if rule.sequence is not None:
        kinds = tuple(dict.fromkeys(kind for step in rule.sequence.steps for kind in step.kinds))
        keys = tuple(_paths(step.by) for step in rule.sequence.steps)
    else:
        kinds = rule.kinds
        keys = (_paths(rule.threshold.by if rule.threshold else rule.first_seen.per if rule.first_seen else ()),)
    return Known(rule.namespace, rule.policy, rule.rule, rule.revision, rule.state_key, kinds, rule.include, rule.exclude, keys, now)


def _paths(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(node.path if isinstance(node, Field) and not node.words and not node.step else "" for node in nodes)


class RulesKnown:
    """By name and by state key."""

    def __init__(self, kept: Iterable[Known] = ()) -> None:
        self._known: dict[Name, Known] = {}
        self._by_state: defaultdict[str, dict[Name, Known]] = defaultdict(dict)
        for one in kept:
            self._put(one)

    def use(self, program: Program, now: int) -> bool:
        """What is in force from now on; whether there is a rule that was not known."""
        fresh = False
        for rule in program.rules:
            one = known_of(rule, now)
            fresh |= self._put(one)
        old = [name for name, one in self._known.items() if now - one.until > KEPT_NS]
        surplus = len(self._known) - len(old) - KEPT
        if surplus > 0:
            old += sorted(self._known.keys() - old, key=lambda name: self._known[name].until)[:surplus]
        for name in old:
            one = self._known.pop(name)
            del self._by_state[one.state_key][name]
            if not self._by_state[one.state_key]:
                del self._by_state[one.state_key]
        return fresh

    def _put(self, one: Known) -> bool:
        name = Name(one.namespace, one.policy, one.rule, one.revision)
        before = self._known.get(name)
        if before is not None and before.state_key != one.state_key:  # an exception has changed its threshold
            self._by_state[before.state_key].pop(name, None)
        self._known[name] = self._by_state[one.state_key][name] = one
        return before is None

    def named(self, namespace: str, policy: str, rule: str, revision: str) -> Known | None:
        return self._known.get(Name(namespace or ROOT_NAMESPACE, policy, rule, revision))

    def with_state(self, state_key: str) -> list[Known]:
        return list(self._by_state.get(state_key, {}).values())

    @property
    def all(self) -> list[Known]:
        return list(self._known.values())
