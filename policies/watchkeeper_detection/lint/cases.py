"""Lints on a policy's cases."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.fields import attribute_name, fields
from watchkeeper_detection.lint.subject import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.event import Event
    from watchkeeper_detection.lint.subject import Library

WORD = re.compile(r'\.([A-Za-z_]\w*)|\["([^"]*)"\]|\[(\d*)\]')  # .name  ["any key"]  [0]  [] for every element


def without_cases(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        if rule.rule is rule.policy.spec.rules[0] and not library.cases.get(rule.policy.name):
            stem = rule.place.file.rpartition(".")[0] or rule.policy.name
            yield rule.spot((), "the policy has no cases: nothing shows that it fires", f"write {stem}.fires.jsonl and {stem}.quiet.jsonl")


def without_fires_case(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        if library.cases.get(rule.policy.name) and not any(case.fires for case in rule.cases):
            yield rule.spot((), "no case fires this rule", f'add a case with "rule": "{rule.rule.name}" to the policy\'s .fires.jsonl')


def without_quiet_case(library: Library) -> Iterator[Spot]:
    for policy, place in library.policies:
        cases = library.cases.get(policy.name, ())
        if cases and all(case.fires for case in cases):
            yield Spot(place, ("spec",), "no case looks similar and must stay quiet", "add a near miss to the policy's .quiet.jsonl")


def dead_fields(library: Library) -> Iterator[Spot]:
    for rule in library.rules:
        events = [event for case in rule.cases for event in case.events]
        paths = {path for checked in rule.checked for path in checked.open_paths}
        dead: list[str] = []
        for path in sorted(paths) if events else ():
            if not any(occurs(event, path) for event in events) and not any(path.startswith((f"{above}.", f"{above}[")) for above in dead):
                dead.append(path)
                yield rule.spot((), f"reads {path}, which occurs in none of its cases", "correct the path, or add a case whose record has it")


def occurs(event: Event, path: str) -> bool:
    """Whether the event has something at an open path such as `audit.requestObject.spec.containers[].image`."""
    field, words = _split(path)
    *above, last = field.split(".")
    holder: Any = event
    for word in above:
        holder = getattr(holder, attribute_name(word))
    value = opened(holder, attribute_name(last))
    return value is not None and _reaches(value, words)


@cache
def _split(path: str) -> tuple[str, tuple[str | int | None, ...]]:
    """The field of the vocabulary, and the keys and indices below it; None stands for every element."""
    field = max((known for known in fields() if path == known or (path.startswith(known) and path[len(known)] in ".[")), key=len)
    words = [name or key or (int(index) if index else None) for name, key, index in WORD.findall(path[len(field) :])]
    return field, tuple(words)


def _reaches(value: Any, words: tuple[str | int | None, ...]) -> bool:
    if not words:
        return value is not None
    word, rest = words[0], words[1:]
    if word is None:
        return any(_reaches(part, rest) for part in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()))
    if isinstance(word, int):
        return isinstance(value, list) and word < len(value) and _reaches(value[word], rest)
    return isinstance(value, dict) and word in value and _reaches(value[word], rest)
