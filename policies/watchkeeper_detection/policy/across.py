"""What pydantic stops short of: rules across fields, repeated keys and nulls, all of them at once and each at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.policy.model import members
from watchkeeper_detection.policy.shapes import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_detection.policy.model import Model

Steps = tuple[str | int, ...]

NO_VALUE = "has no value: give it one or leave it out"


def broken(model: type[Model], written: Any, at: Steps = ()) -> Iterator[tuple[Steps, str]]:
    """Place and reason of everything that is wrong across fields. Parts of another type than the model's are passed over."""
    if isinstance(written, dict):
        for name, (below, keyed) in members(model).items():
            if name in written:
                yield from _broken_field(below, keyed, written[name], (*at, name))
        yield from ((at, rule.message) for rule in model.ACROSS if not rule.holds(written))


def _broken_field(below: type[Model] | None, keyed: Any, value: Any, at: Steps) -> Iterator[tuple[Steps, str]]:
    if value is None:
        yield at, NO_VALUE
    elif isinstance(value, list):
        if keyed is not None:
            yield from (((*at, position), f"{shown(key)} was there before: {keyed.by or 'value'} must be unique") for position, key in keyed.repeated(value))
        for position, entry in enumerate(value):
            if entry is None:
                yield (*at, position), NO_VALUE
            elif below is not None:
                yield from broken(below, entry, (*at, position))
    elif below is not None:
        yield from broken(below, value, at)
    elif isinstance(value, dict):
        yield from (((*at, key), NO_VALUE) for key, part in value.items() if part is None)
