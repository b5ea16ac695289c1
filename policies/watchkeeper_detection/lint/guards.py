"""Lints on what holds a rule back: its `unless`, and PolicyExceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_detection.cel.compile import compile_condition
from watchkeeper_detection.cel.tree import Field, walk
from watchkeeper_detection.fields import fields
from watchkeeper_detection.lint.shape import implies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.lint.subject import Library, LintedRule, Spot
    from watchkeeper_detection.program import Guard


CLAIMED = ("process.", "windows.process.", "pod.labels", "pod.annotations", "container.name", "container.command")
USER_AGENTS = ("user_agent", "userAgent", "callerSuppliedUserAgent")


def swallowed_by_unless(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        for number, guard in enumerate(rule.made.unless if rule.made else ()):
            if _is_implied(rule, guard):
                yield rule.spot(("unless", number), f"{guard.name} is true whenever the rule is: the rule never fires", "narrow it, or take it out")


def swallowed_by_exception(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        for guard in rule.made.exceptions if rule.made else ():
            if _is_implied(rule, guard) or _holds_back_every_case(rule, guard, library):
                yield rule.spot(
                    (), f"exception {guard.name} holds back all that the rule fires on", "narrow the exception, or switch the rule off by an override"
                )


def _is_implied(rule: LintedRule, guard: Guard) -> bool:
    condition = rule.conditions()[-1].checked.tree
    return implies(condition, guard.when)


def _holds_back_every_case(rule: LintedRule, guard: Guard, library: Library) -> bool:
    """Over the events on which the rule's (last) condition holds, in cases that fire."""
    lists = library.checked.program.lists
    holds = compile_condition(rule.conditions()[-1].checked.tree, lists)
    holds_back = compile_condition(guard.when, lists)
    kinds = rule.made.kinds if rule.made else ()
    events = [event for case in rule.cases if case.fires for event in case.events if event.kind in kinds and holds(event)]
    return bool(events) and all(holds_back(event) for event in events)


def is_claimed(path: str) -> bool:
    """Whether a field says what somebody calls himself: user agent, process name and arguments, labels. What he asks for is another thing."""
    return fields()[path].untrusted and (path.startswith(CLAIMED) or path.rpartition(".")[2] in USER_AGENTS)


def chosen_by_the_attacker(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        for number, guard in enumerate(rule.made.unless if rule.made else ()):
            read = {node.path for node in walk(guard.when) if isinstance(node, Field)}
            if read and all(is_claimed(path) for path in read):
                yield rule.spot(
                    ("unless", number, "when"),
                    f"{guard.name} reads only what an attacker can choose: {', '.join(sorted(read))}",
                    "add what can't be chosen: the identity, its namespace, an image digest",
                )
