"""Which rules could not have fired on these logs, and why: a quiet rule may be blind, not content.

While events are read, some of them are looked at: which of the fields that rules need are there at all, at which audit level,
whether CloudTrail's data events are on.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel import tree
from watchkeeper_detection.cel.requirements import conjuncts
from watchkeeper_detection.index import getter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from watchkeeper_detection.event import Event
    from watchkeeper_detection.program import Program, Rule

LOOKED_AT_FIRST = 500  # so many events of each kind are all looked at, then one in SAMPLE
SAMPLE = 16
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
DATA_EVENTS = "data events"


def needed(condition: tree.Node | None) -> Iterator[frozenset[str]]:
    """For each part of the condition that can't hold while all fields that it reads are absent: these fields."""
    for part in conjuncts(condition) if condition is not None else ():
        nodes = tree.walk(part)
        if any(isinstance(node, tree.Present | tree.Default | tree.Choice) for node in nodes):
            continue  # these ask whether a field is there
        paths = frozenset(node.path for node in nodes if isinstance(node, tree.Field) and not node.step)
        if paths and not any(isinstance(node, tree.Variable) for node in nodes):
            yield paths


def units(rule: Rule) -> list[tuple[tuple[str, ...], tree.Node | None]]:
    """What each of the rule's conditions is asked about: kinds of events, and the condition."""
    if rule.sequence is None:
        return [(rule.kinds, rule.when)]
    return [(step.kinds, step.when) for step in rule.sequence.steps]


class Presence:
    """What was there in the events looked at."""

    def __init__(self, program: Program) -> None:
        self.seen: set[tuple[str, str]] = set()  # (kind, path)
        self.levels: set[str] = set()
        self.sampled: set[str] = set()  # kinds of which LOOKED_AT_FIRST events were looked at
        self._looks: dict[str, int] = {}
        self._program = program
        self._unseen: dict[str, dict[str, Callable[[Event], Any]]] = {}

    def look(self, event: Event) -> None:
        kind = event.kind
        looks = self._looks[kind] = self._looks.get(kind, 0) + 1
        if looks == LOOKED_AT_FIRST:
            self.sampled.add(kind)
        unseen = self._unseen.get(kind)
        if unseen is None:
            unseen = self._unseen[kind] = self._wanted(kind)
        for path in [path for path, read in unseen.items() if is_there(read(event))]:
            del unseen[path]
            self.seen.add((kind, path))
        if kind == "audit.request":
            self.levels.add(event.audit.level or "None")
        elif kind == "cloudtrail.event" and event.cloudtrail.eventCategory == "Data":
            self.levels.add(DATA_EVENTS)

    def _wanted(self, kind: str) -> dict[str, Callable[[Event], Any]]:
        """What rules need of this kind of event, with how to read it."""
        conditions = (condition for rule in self._program.rules for kinds, condition in units(rule) if kind in kinds)
        return {path: getter(path) for condition in conditions for paths in needed(condition) for path in paths}


def is_there(value: object) -> bool:
    """Whether a field's value, as the reader left it, is one: a JSON null is none."""
    return value is not None and not (isinstance(value, msgspec.Raw) and bytes(memoryview(value)[:5]) == b"null")


def blind_lines(program: Program, events: dict[str, int], seen: set[tuple[str, str]], levels: set[str]) -> list[str]:
    """What these logs could not show, a sentence each."""
    lines = []
    blind: dict[str, set[str]] = defaultdict(set)
    elsewhere: dict[str, set[str]] = defaultdict(set)
    highest = max((LEVELS.index(level) for level in levels if level in LEVELS), default=0)
    for rule in program.rules:
        for kinds, condition in units(rule):
            present = [kind for kind in kinds if events.get(kind)]
            if not present and all(kind.startswith("log.") for kind in kinds):
                continue  # that no record was rejected is no blind spot
            if not present:
                elsewhere[" or ".join(kinds)].add(rule.name)
                continue
            reason = _unmet(rule, present, levels, highest) or _missing(condition, present, seen)
            if reason:
                blind[reason].add(rule.name)
    lines += [f"{reason}: {some_of(rules)} could not fire" for reason, rules in sorted(blind.items(), key=lambda row: -len(row[1]))]
    if elsewhere:
        absent = ", ".join(f"{kind} ({_count(len(rules))})" for kind, rules in sorted(elsewhere.items()))
        lines.append(f"there were no events of these kinds: {absent}")
    return lines


def _unmet(rule: Rule, present: Iterable[str], levels: set[str], highest: int) -> str | None:
    """A requirement of the rule that the log visibly does not meet."""
    for requirement in rule.requires:
        words = requirement.replace(",", " ").split()
        if "audit.request" in present and highest:
            wanted = min((LEVELS.index(word) for word in words if word in LEVELS), default=0)
            if wanted > highest:
                return f"the audit level of this log is {LEVELS[highest]}, rules ask for {LEVELS[wanted]}"
        if "cloudtrail.event" in present and DATA_EVENTS in requirement.lower() and DATA_EVENTS not in levels:
            return "CloudTrail data events are not in this log"
    return None


def _missing(condition: tree.Node | None, present: Iterable[str], seen: set[tuple[str, str]]) -> str | None:
    for paths in needed(condition):
        if not any((kind, path) in seen for kind in present for path in paths):
            return f"{' and '.join(sorted(paths))} never occurred"
    return None


def _count(rules: int, what: str = "rule") -> str:
    return f"{rules} {what}" if rules == 1 else f"{rules} {what}s"


def some_of(rules: Collection[str]) -> str:
    """The first names, and how many more there are."""
    some = sorted(rules)
    return ", ".join(some[:3]) + (f" and {_count(len(some) - 3, 'more rule')}" if len(some) > 3 else "")
