"""What lint looks at: the library with its cases, rule by rule; and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from watchkeeper_detection.policy import PolicyList, RuntimePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from watchkeeper_detection.cel.check import Checked
    from watchkeeper_detection.checking import CheckedPolicies
    from watchkeeper_detection.event import Event
    from watchkeeper_detection.policy import Rule
    from watchkeeper_detection.policy_loading import Document, Place
    from watchkeeper_detection.program import Rule as MadeRule
    from watchkeeper_detection.yaml_text import Steps

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Lint:
    """One thing that its author would want to know. `line` is 1-based, None where it is not known."""

    code: str
    level: Level
    policy: str
    rule: str
    path: str
    message: str
    remedy: str
    file: str
    line: int | None

    def __str__(self) -> str:
        place = f"{self.file}{f':{self.line}' if self.line is not None else ''}: " if self.file else ""
        who = " / ".join(name for name in (self.policy, self.rule) if name)
        return f"{place}{self.level}: {who}: {self.message} ({self.remedy}) [{self.code}]"


class Spot(NamedTuple):
    """Where a lint strikes. `line_of_text` counts lines within the text that stands there."""

    place: Place
    steps: Steps
    message: str
    remedy: str
    line_of_text: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One lint: its code, its level, what it means in a sentence, and the function that finds it."""

    code: str
    level: Level
    meaning: str
    spots: Callable[[Library], Iterable[Spot]]

    def lint(self, spot: Spot) -> Lint:
        error = spot.place.error(spot.steps, spot.message, line_of_text=spot.line_of_text)
        return Lint(self.code, self.level, error.policy, error.rule, error.path, spot.message, spot.remedy, error.file, error.line)


@dataclass(frozen=True, slots=True)
class LintCase:
    """A case of a policy: what it is about (None: any of its rules), whether it fires, and the events that its records made."""

    rule: str | None
    fires: bool
    events: tuple[Event, ...]


class Condition(NamedTuple):
    """A condition of a rule, or of a step of its sequence, as checked."""

    steps: Steps
    checked: Checked


@dataclass(frozen=True, slots=True)
class LintedRule:
    """One rule as written, as made (None where it is switched off or has errors), and its cases."""

    policy: RuntimePolicy
    rule: Rule
    place: Place
    steps: Steps
    made: MadeRule | None
    checked: tuple[Checked, ...]
    cases: tuple[LintCase, ...]

    def spot(self, below: Steps, message: str, remedy: str, *, line_of_text: int = 1) -> Spot:
        return Spot(self.place, (*self.steps, *below), message, remedy, line_of_text)

    def conditions(self) -> list[Condition]:
        """What decides whether the rule holds: its condition, or those of its steps. None where the rule has errors."""
        if self.made is None:
            return []
        if self.rule.sequence is None:
            return [Condition(("when",), self.checked[0])]
        found, position = [], 0
        for number, step in enumerate(self.rule.sequence.steps):
            found.append(Condition(("sequence", "steps", number, "when"), self.checked[position]))
            position += 1 + len(step.by)
        return found


@dataclass(frozen=True)
class Library:
    """Everything that is linted together. `cases` by policy name."""

    documents: Sequence[Document]
    checked: CheckedPolicies
    cases: Mapping[str, Sequence[LintCase]] = field(default_factory=dict)

    @cached_property
    def policies(self) -> tuple[tuple[RuntimePolicy, Place], ...]:
        return tuple((document.object, document.place) for document in self.documents if isinstance(document.object, RuntimePolicy))

    @cached_property
    def lists(self) -> tuple[tuple[PolicyList, Place], ...]:
        return tuple((document.object, document.place) for document in self.documents if isinstance(document.object, PolicyList))

    @cached_property
    def rules(self) -> tuple[LintedRule, ...]:
        made = {rule.name: rule for rule in self.checked.program.rules}
        return tuple(
            LintedRule(
                policy,
                rule,
                place,
                ("spec", "rules", number),
                made.get(f"{policy.name}/{rule.name}"),
                self.checked.conditions.get(f"{policy.name}/{rule.name}", ()),
                tuple(case for case in self.cases.get(policy.name, ()) if case.rule in (None, rule.name)),
            )
            for policy, place in self.policies
            for number, rule in enumerate(policy.spec.rules)
        )
