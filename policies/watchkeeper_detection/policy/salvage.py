"""What is left of an object when its wrong parts are taken out: only so that the expressions of the rest are checked too,
and a user hears of everything at once. What was salvaged is never put in force.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchkeeper_detection.policy.model import Model

ROUNDS = 8  # each takes out what the one before brought to light
STANDING_IN: dict[str, Any] = {"severity": "P4", "reason": "?", "owner": "?", "name": "unnamed"}  # of required fields that no expression depends on


def salvaged(model: type[Model], written: Mapping[str, Any]) -> Model | None:
    """The object without its wrong parts, None where nothing that could be checked is left."""
    value = copy.deepcopy(dict(written))
    for _ in range(ROUNDS):
        try:
            return model.model_validate(value)
        except ValidationError as refused:
            errors = [(error["loc"], error["type"]) for error in refused.errors(include_url=False)]
            # a list counts as too short when an entry is wrong; from the end, so that positions before it stay right
            inmost = [one for one in errors if not any(steps != one[0] and steps[: len(one[0])] == one[0] for steps, _ in errors)]
            if not all(_without(value, steps, kind) for steps, kind in sorted(inmost, key=lambda one: [str(step).zfill(6) for step in one[0]], reverse=True)):
                return None
    return None


def _without(value: Any, steps: tuple[str | int, ...], kind: str) -> bool:
    """Take out the part at these steps, or the entry of a list around it; whether that could be done."""
    places = [value]
    for step in steps[:-1]:
        try:
            places.append(places[-1][step])
        except (KeyError, IndexError, TypeError):
            return True  # taken out already
    last = steps[-1] if steps else None
    if isinstance(last, str) and last in STANDING_IN and isinstance(places[-1], dict):
        places[-1][last] = STANDING_IN[last]
        return True
    if kind == "repeated" and isinstance(places[-1], dict) and isinstance(places[-1].get(last), list):
        places[-1][last] = _each_once(places[-1][last])
        return True
    if kind != "missing" and isinstance(places[-1], dict) and last in places[-1]:
        del places[-1][last]
        return True
    for depth in range(len(steps) - 1, -1, -1):
        step, place = steps[depth], places[depth]
        if isinstance(step, int) and isinstance(place, list):
            if step < len(place):
                del place[step]
            return True
    return False


def _each_once(entries: list[Any]) -> list[Any]:
    """The first entry of each name (of each value, where entries have none)."""
    kept: dict[str, Any] = {}
    for entry in entries:
        kept.setdefault(str(entry.get("name") if isinstance(entry, dict) else entry), entry)
    return list(kept.values())
