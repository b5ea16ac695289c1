"""A decoded record → the struct of its root: the general path's way to what the typed decoder makes of the same bytes.

Where a record has another type than the vocabulary says, a scalar is taken at its word (`200` for "200"), anything else is absent.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


def as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def as_int(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and len(value) <= 19 and value.removeprefix("-").isdecimal():
        return int(value)
    return None


def as_double(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1023 else None


def as_bool(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def as_texts(value: Any) -> list[str] | None:
    if isinstance(value, list):
        return [text for one in value if (text := as_text(one)) is not None]
    text = as_text(value)
    return None if text is None else [text]


def as_ints(value: Any) -> list[int] | None:
    return [number for one in value if (number := as_int(one)) is not None] if isinstance(value, list) else None


def as_text_map(value: Any) -> dict[str, str] | None:
    return {key: text for key, one in value.items() if (text := as_text(one)) is not None} if isinstance(value, dict) else None


def with_fallback_time(struct: type[msgspec.Struct], key: str) -> type[msgspec.Struct]:
    """`struct` with one more text, `fallback_time`: another name for the time in old or converted records."""
    return msgspec.defstruct(struct.__name__, [("fallback_time", str | None, None)], bases=(struct,), rename={"fallback_time": key}, gc=False)


_READERS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (str | None, as_text),
    (int | None, as_int),
    (float | None, as_double),
    (bool | None, as_bool),
    (list[str] | None, as_texts),
    (list[int] | None, as_ints),
    (dict[str, str] | None, as_text_map),
)


def _reader(type_: Any) -> Callable[[Any], Any]:
    if type_ is msgspec.Raw:
        return lambda value: value
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return lambda value: build(type_, value) if isinstance(value, dict) else None
    return next(read for known, read in _READERS if known == type_)


@cache
def _plan(struct: type[msgspec.Struct]) -> tuple[tuple[str, str, Callable[[Any], Any]], ...]:
    return tuple((field.name, field.encode_name, _reader(field.type)) for field in msgspec.structs.fields(struct))


def build(struct: type[msgspec.Struct], record: dict[str, Any]) -> msgspec.Struct:
    """`struct` filled from a decoded record; open fields hold its own values."""
    values = {}
    for name, key, read in _plan(struct):
        value = record.get(key)
        if value is not None and (value := read(value)) is not None:
            values[name] = value
    return struct(**values)
