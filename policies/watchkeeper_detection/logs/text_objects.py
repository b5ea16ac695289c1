"""Objects that an export of a table wrote as JSON text (Athena, CloudTrail Lake), told from native ones at the cost of a search for backslashes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel.functions import opened
from watchkeeper_detection.json_text import unfolded
from watchkeeper_detection.logs.pieces import Lines
from watchkeeper_detection.record_types import NO_RAW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from watchkeeper_detection.logs.pieces import Run

BEFORE = 64  # bytes before the first backslash of a text that may name its field
ESCAPED_TEXTS = 1000  # of one array that are looked at; one with more of them may hold anything
STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)


def opener(names: Mapping[str, str]) -> Callable[[list[Any], Run], None]:
    """Function that puts objects for the texts in these open fields (key → attribute) of a run's typed records.

    The text of an object has a backslash: only lines with one are looked at, and only arrays with one that begins such a field.
    """
    keyed = re.compile(rb'"(?:' + "|".join(names).encode() + rb')"\s*+:\s*+"[^"\\]*+\Z')
    attributes = tuple(names.values())

    def open_texts(records: list[Any], run: Run) -> None:
        if isinstance(run, Lines):
            suspects: Iterable[int] = run.indices_with(b"\\")
        else:
            suspects = range(len(records)) if _begins(keyed, run.content) else ()
        for index in suspects:
            record = records[index]
            for attribute in attributes:
                if _is_text(getattr(record, attribute)):
                    setattr(record, attribute, _unfolded(opened(record, attribute)))

    return open_texts


def _begins(keyed: re.Pattern[bytes], content: bytes) -> bool:
    """Whether a text with a backslash may begin as `keyed` says."""
    at = content.find(b"\\")
    for _ in range(ESCAPED_TEXTS):
        if at < 0:
            return False
        if keyed.search(content, max(at - BEFORE, 0), at):
            return True
        rest = STRING_REST.match(content, at)
        at = content.find(b"\\", rest.end()) if rest else -1
    return at >= 0


def _is_text(value: Any) -> bool:
    return isinstance(value, msgspec.Raw) and value is not NO_RAW and memoryview(value)[:1].tobytes() == b'"'


def _unfolded(text: Any) -> Any:
    return unfolded(text) if isinstance(text, str) and '"' in text else text


def with_objects(record: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The record with the objects that stand as text in these fields; the record itself when no text stands there."""
    found = {name: _unfolded(text) for name in names if isinstance(text := record.get(name), str)}
    return {**record, **found} if found else record
