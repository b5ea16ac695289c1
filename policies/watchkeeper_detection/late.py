"""Late fields: which of them a rule reads, and the part of its condition that reads none.

A field is late when it is known only some time after its event (`fields.py`). A rule that reads one is judged when it is known, or without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel.requirements import conjuncts
from watchkeeper_detection.cel.tree import Field, walk
from watchkeeper_detection.fields import fields
from watchkeeper_detection.unit import all_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from watchkeeper_detection.cel.tree import Node
    from watchkeeper_detection.program import Guard, Rule

SCOPE = "pod.namespace"
DERIVED = {
    "identity.id": frozenset({"pod.service_account", "pod.namespace"}),
    "identity.type": frozenset({"pod.service_account", "pod.namespace"}),
    "target.namespace": frozenset({"pod.namespace"}),
}
"""Normalised fields of a kernel event → what they are made of."""


def late_fields() -> frozenset[str]:
    """Every late field of the vocabulary."""
    return frozenset(path for path, field in fields().items() if field.late)


def late_reads(nodes: Iterable[Node | None], late: Collection[str]) -> frozenset[str]:
    """Those of the `late` fields that the nodes read of the event judged."""
    found: set[str] = set()
    for node in nodes:
        for part in walk(node) if node is not None else ():
            if isinstance(part, Field) and not part.step:
                found.update(DERIVED.get(part.path, (part.path,)))
    return frozenset(found.intersection(late))


def reads_of(rule: Rule, step: int, late: Collection[str]) -> frozenset[str]:
    """Those of the `late` fields that judging one event by the rule, or by one step of its sequence, reads: condition, guards, scope, keys and message."""
    nodes: list[Node | None] = list(rule.suppress.by) if rule.suppress else []
    if rule.sequence:
        of_step = rule.sequence.steps[step]
        nodes += (of_step.when, *of_step.by, *(node for _, node in of_step.keep))
    else:
        nodes += (rule.when, *(guard.when for guard in guards_of(rule)), *(word.value for word in rule.message))
    if rule.threshold:
        nodes += (*rule.threshold.by, rule.threshold.distinct)
    if rule.first_seen:
        nodes += (*rule.first_seen.of, *rule.first_seen.per)
    scoped = {SCOPE}.intersection(late) if rule.include or rule.exclude else frozenset()
    return late_reads(nodes, late) | scoped


def guards_of(rule: Rule) -> tuple[Guard, ...]:
    return (*rule.unless, *rule.exceptions)


def early_part(when: Node | None, late: Collection[str]) -> Node | None:
    """What must hold whatever the `late` fields come out as; None where nothing need."""
    if when is None or not late_reads((when,), late):
        return when
    return all_of([part for part in conjuncts(when) if not late_reads((part,), late)])
