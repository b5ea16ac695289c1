"""PolicyError: what is wrong with a policy, where, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.policy.across import NO_VALUE, broken
from watchkeeper_detection.policy.model import FOUND_ELSEWHERE, members
from watchkeeper_detection.policy.shapes import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from watchkeeper_detection.policy.across import Steps
    from watchkeeper_detection.policy.model import Model


@dataclass(frozen=True, slots=True)
class PolicyError:
    """One thing that is wrong with a policy.

    path  `spec.rules[exec-in-pod].when`; empty: the whole document
    hint  what was probably meant, or what to do
    line  1-based, None where it is not known
    """

    policy: str
    rule: str
    path: str
    reason: str
    hint: str | None = None
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        who = " / ".join(printable(name) for name in (self.policy, self.rule) if name)
        where = " at ".join(part for part in (who, printable(self.path)) if part)
        place = f" [{printable(self.file)}{f':{self.line}' if self.line is not None else ''}]" if self.file else ""
        return f"{where}{': ' if where else ''}{printable(self.reason)}{f' ({printable(self.hint)})' if self.hint else ''}{place}"


def printable(text: str) -> str:
    """The text on one line, control characters escaped: policies come from people, and errors go to terminals."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def path_text(written: Any, steps: Steps) -> str:
    """`spec.rules[exec-in-pod].when`: entries of a list by their name where they have one, by position where not."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            written = written[step] if isinstance(written, list) and step < len(written) else None
            text += f"[{name_of(written) or step}]"
        else:
            written = written.get(step) if isinstance(written, dict) else None
            text += f".{step}" if text else step
    return text if len(text) <= 500 else text[:499] + "…"


def name_of(written: Any) -> str:
    """The `name` of a part as a message may show it; "" where it has none."""
    name = written.get("name") if isinstance(written, dict) else None
    return name[:100] if isinstance(name, str) else ""


def rule_at(written: Any, steps: Steps) -> str:
    """Name of the rule that a place is in, "" where it is in none."""
    match steps, written:
        case ("spec", "rules", int(position), *_), {"spec": {"rules": [*rules]}} if position < len(rules):
            return name_of(rules[position])
    return ""


def problems(model: type[Model], written: Mapping[str, Any], refused: ValidationError | None) -> Iterator[tuple[Steps, str, str | None]]:
    """Place, reason and hint of everything that is wrong with an object."""
    across = list(broken(model, written))
    nothing = {steps for steps, reason in across if reason == NO_VALUE}
    for error in [] if refused is None else refused.errors(include_url=False):
        if error["type"] not in FOUND_ELSEWHERE and error["loc"] not in nothing and not _is_echo(error):
            yield _problem(model, error)
    yield from ((steps, reason, None) for steps, reason in across)


def _is_echo(error: ErrorDetails) -> bool:
    """Pydantic calls a list too short when entries of it were refused."""
    return error["type"] == "too_short" and isinstance(error["input"], list) and len(error["input"]) >= error["ctx"]["min_length"]


def _problem(model: type[Model], error: ErrorDetails) -> tuple[Steps, str, str | None]:
    steps, value = error["loc"], error["input"]
    match error["type"]:
        case "missing":
            return steps, "is required", None
        case "extra_forbidden":
            return steps, "unknown field", meant(str(steps[-1]), members(model_at(model, steps[:-1])))
        case "literal_error":
            expected = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            return steps, f"{shown(value)} is not {'one of ' if len(expected) > 1 else ''}{', '.join(expected)}", meant(str(value), expected)
        case "model_type" | "model_attributes_type" | "dict_type":
            return steps, f"{shown(value)} is not a mapping", None
        case "tuple_type":
            return steps, f"{shown(value)} is not a list", "write it in brackets: [...]" if isinstance(value, str) else None
        case "string_type":
            return steps, f"{shown(value)} is not text", "put it in quotes" if isinstance(value, (int, float, bool)) else None
        case "bool_type":
            return steps, f"{shown(value)} is neither true nor false", None
        case "int_type":
            return steps, f"{shown(value)} is not a whole number", None
        case "greater_than_equal":
            return steps, f"{value} is less than {error['ctx']['ge']}", None
        case "less_than_equal":
            return steps, f"{value} is more than {error['ctx']['le']}", None
        case "too_long" if "max_length" in error.get("ctx", {}):
            return steps, f"has {error['ctx']['actual_length']} entries, more than the {error['ctx']['max_length']} allowed", None
        case "too_short":
            return steps, f"has {error['ctx']['actual_length']} entries, fewer than the {error['ctx']['min_length']} needed", None
        case _:
            return steps, error["msg"], None


def meant(name: str, candidates: Iterable[str]) -> str | None:
    """`did you mean 'severity'?`; among equally near names the first."""
    matcher = difflib.SequenceMatcher(a="", b=name[:100])
    best, most = None, 0.5
    for candidate in candidates:
        matcher.set_seq1(candidate)
        if (ratio := matcher.ratio()) > most or (best is None and ratio == most):
            best, most = candidate, ratio
    return None if best is None else f"did you mean '{best}'?"


def model_at(model: type[Model], steps: Steps) -> type[Model]:
    """Model of the part that the steps lead to."""
    for step in steps:
        if isinstance(step, str):
            below, _ = members(model).get(step, (None, None))
            model = model if below is None else below
    return model
