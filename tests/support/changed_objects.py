"""Objects for property tests: made from a kind's schema, or taken from a table, and then changed at places by what people and programs get wrong."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Steps = tuple[str | int, ...]

EXACT = 2**53
NUMBERS = st.sampled_from([-1, 0, 1, 2, 5, 6, 99, 100, 1_000_000, 1_000_001, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 1.0, 1.5, -0.0, 1e300])
TEXTS = st.sampled_from(
    [
        *(
            "",
            " ",
            "\n",
            "a",
            "A",
            "x-y",
            "-x",
            "1",
            "é",
            "a\u0000b",
            "\u00a0",
            "\u2028",
            "𝄞",
            "true",
            "5m",
            "5m\n",
            "0s",
            "99999d",
            "100000d",
            "P1",
            "Auto",
            "None",
        ),
        *(
            "T1609",
            "T1609.001",
            "T16",
            "{identity.id}",
            "{",
            "process.pod",
            "file.*",
            "a.b",
            "https://x",
            "http:// x",
            "250m",
            "1.5Gi",
            "1e3",
            "/",
            "/a",
            "a/b",
            "a/",
        ),
        *("2026-12-31T00:00:00Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-12-31T24:00:00Z", "2026-12-31T23:59:60Z", "2026-12-31T00:00:00.5Z"),
        *("1999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "sha256:" + "0" * 64, "5f0c1a2e-7d2b-4f9e-9a1c-0d1e2f3a4b5c", "self", "In", "Exists"),
    ]
) | st.sampled_from([63, 64, 120, 121, 253, 254, 256, 257, 512, 513, 1024, 1025, 4096, 4097, 8192, 8193]).map(lambda length: "a" * length)
SCALARS = NUMBERS | TEXTS | st.booleans() | st.none()
ANYTHING = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from(["name", "key", "a", ""]), SCALARS, max_size=2)


def places(written: Any, at: Steps = ()) -> Iterator[Steps]:
    """Of every part, the whole first."""
    yield at
    if isinstance(written, (dict, list)):
        for step, part in written.items() if isinstance(written, dict) else enumerate(written):
            yield from places(part, (*at, step))


def part_at(written: Any, steps: Steps) -> Any:
    for step in steps:
        written = written[step]
    return written


def _replaced(draw: st.DrawFn, holder: Any, step: str | int) -> None:
    holder[step] = draw(ANYTHING)


def _taken_out(_draw: st.DrawFn, holder: Any, step: str | int) -> None:
    del holder[step]


def _renamed(draw: st.DrawFn, holder: Any, step: str | int) -> None:
    if isinstance(holder, dict):
        holder[draw(st.sampled_from([f"{step}s", str(step).upper(), "description", "name", ""]))] = holder.pop(step)


def _twice(_draw: st.DrawFn, holder: Any, step: str | int) -> None:
    if isinstance(holder, list):
        holder.append(deepcopy(holder[int(step)]))
    elif isinstance(holder[step], list):
        holder[step] = holder[step] * 2


def _wrapped(draw: st.DrawFn, holder: Any, step: str | int) -> None:
    holder[step] = draw(st.sampled_from([lambda part: [part], lambda part: {"name": part}, str]))(holder[step])


def _added(draw: st.DrawFn, holder: Any, step: str | int) -> None:
    if isinstance(holder[step], dict):
        holder[step][draw(st.sampled_from(["name", "when", "values", "operator", "override", "sequence", "threshold", "kill", "auditFile", "unknown"]))] = draw(
            ANYTHING
        )
    elif isinstance(holder[step], list):
        holder[step].append(draw(ANYTHING))


CHANGES: list[Callable[[st.DrawFn, Any, Any], None]] = [_replaced, _replaced, _taken_out, _renamed, _twice, _wrapped, _added]


@st.composite
def changed(draw: st.DrawFn, originals: st.SearchStrategy[dict[str, Any]], below: str) -> dict[str, Any]:
    """An object whose part `below` was changed at up to three places."""
    written = deepcopy(draw(originals))
    for _ in range(draw(st.integers(0, 3))):
        found = [steps for steps in places(written[below], (below,)) if len(steps) > 1] if isinstance(written.get(below), (dict, list)) else []
        if found:
            *above, step = draw(st.sampled_from(found))
            draw(st.sampled_from(CHANGES))(draw, part_at(written, tuple(above)), step)
    return written


def made_by(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What a structural schema describes, nearly always as it allows; rules across fields are left to chance."""
    kind = schema["type"]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if kind == "string":
        return _texts(schema)
    if kind == "integer":
        return st.integers(schema.get("minimum", 0), schema.get("maximum", 2**40))
    if kind == "boolean":
        return st.booleans()
    if kind == "array":
        return st.lists(made_by(schema["items"]), min_size=schema.get("minItems", 0), max_size=max(schema.get("minItems", 0), min(schema["maxItems"], 2)))
    if "additionalProperties" in schema:
        return st.dictionaries(st.sampled_from(["app", "tier"]), made_by(schema["additionalProperties"]), max_size=2)
    needed = schema.get("required", ())
    parts = {name: made_by(part) for name, part in schema.get("properties", {}).items()}
    return st.fixed_dictionaries(
        {name: part for name, part in parts.items() if name in needed}, optional={name: part for name, part in parts.items() if name not in needed}
    )


def _texts(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    pattern = schema.get("pattern", "")
    if pattern in ("", r"\S"):
        return st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=min(schema["maxLength"], 20))
    return st.from_regex(re.compile(pattern.removesuffix("$") + r"\Z", re.ASCII)).filter(lambda text: len(text) <= schema["maxLength"])


def as_stored(written: Any, schema: dict[str, Any]) -> Any:
    """As the API server gives it back: a field without a value was left out, 1.0 is 1. Unknown fields and entries of lists stay."""
    if isinstance(written, dict):
        parts = schema.get("properties", {})
        known = {name: parts.get(name, schema.get("additionalProperties")) for name in written}
        return {name: as_stored(part, known[name] or {}) for name, part in written.items() if part is not None or known[name] is None}
    if isinstance(written, float) and written.is_integer() and abs(written) < EXACT:
        return int(written)
    return [as_stored(part, schema.get("items", {})) for part in written] if isinstance(written, list) else written
