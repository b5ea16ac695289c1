"""Lints on what a rule's condition says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel.requirements import clauses
from watchkeeper_detection.fields import fields
from watchkeeper_detection.lint.shape import shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.lint.subject import Library, Spot
    from watchkeeper_detection.program import Rule


def duplicates(library: Library) -> Iterator[Spot]:
    first: dict[str, Rule] = {}
    for rule in library.rules:
        if rule.made is None:
            continue
        made = first.setdefault(_said(rule.made), rule.made)
        if made is not rule.made:
            yield rule.spot((), f"has the condition of {made.name}, on the same kinds of event", "join the two, or say what sets them apart")


def _said(rule: Rule) -> str:
    """All that decides when a rule fires."""
    sequence = rule.sequence and (
        rule.sequence.within_ns,
        rule.sequence.ordered,
        tuple((step.kinds, step.when, step.joined, step.by) for step in rule.sequence.steps),
    )
    parts = (rule.when, rule.threshold, rule.first_seen, sequence, tuple(sorted(repr(shape(guard.when)) for guard in rule.unless)))
    return repr((rule.namespace, sorted(rule.kinds), rule.include, rule.exclude, tuple(shape(part) for part in parts)))


def unguarded_negations(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        for condition in rule.conditions():
            for path, line, column in condition.checked.unguarded:
                yield rule.spot(
                    condition.steps,
                    f"denies {path} without asking whether it is there: the rule is silent exactly where it is missing (line {line}, column {column})",
                    f"write has({path}) &&, or get({path}, …) with the value that it then stands for",
                    line_of_text=line,
                )


def untold_fields(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        for path in sorted(rule.made.reads) if rule.made is not None else ():
            if reason := fields()[path].untold:
                yield rule.spot((), f"reads {path}, which is always absent: {reason}", "do without it")


def not_indexed(library: Library) -> Iterator[Spot]:
    lists = library.checked.program.lists
    for rule in library.rules:
        for condition in rule.conditions():
            if not clauses(condition.checked.tree, lists):
                yield rule.spot(
                    condition.steps,
                    "is tried on every event of its kinds: nothing in it must equal, begin with or contain a known text",
                    "add a test of a closed field that always holds then, such as the verb or event name",
                )
