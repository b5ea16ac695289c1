"""YAML and JSON text → plain values with the line of each, under bounds that hostile text can't get round.

Read event by event: libyaml does the scanning, nothing here recurses, and what an alias repeats counts again, so that
neither depth nor a few kilobytes of aliases can cost more than the bounds allow.

Plain scalars mean what they mean to kubectl (YAML 1.1 as sigs.k8s.io/yaml reads it), except keys: kubectl takes the bare
key `on` for the boolean true, and so would a user's `kubectl apply`. Here it is the key `on`, and its line is kept.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import yaml

LONGEST_TEXT = 4 * 1024 * 1024  # bytes of UTF-8
MOST_NODES = 200_000  # of one text, aliases counted in full; the whole library has a tenth of it
DEEPEST = 32  # a policy has ten levels

Steps = tuple[str | int, ...]
Fault = tuple[Steps, str, int]  # path, reason, 1-based line (0: not known)

TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
FALSE = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
NULL = frozenset({"", "~", "null", "Null", "NULL"})
INTEGER = re.compile(r"[-+]?(0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LONGEST_NUMBER = 40


class TextError(Exception):
    """The text can't be read on: reason and 1-based line."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(slots=True)
class Written:
    """One document of a text: its value, and by path of each part the 1-based line that its text begins on.

    faults     what is wrong but did not stop the reading
    bare_keys  lines of unquoted keys that kubectl takes for booleans
    """

    value: Any = None
    lines: dict[Steps, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    bare_keys: list[tuple[Steps, int]] = field(default_factory=list)


def text_of(source: str | bytes) -> str:
    """The text itself; raises TextError when it is too long or not UTF-8."""
    if len(source) > LONGEST_TEXT:
        raise TextError(f"is longer than {LONGEST_TEXT // 1024 // 1024} MiB")
    try:
        if isinstance(source, str):
            source.encode()
            return source.removeprefix("\ufeff")
        return source.decode().removeprefix("\ufeff")
    except UnicodeError as error:
        raise TextError(f"is not UTF-8 text ({error.reason if isinstance(error, (UnicodeDecodeError, UnicodeEncodeError)) else error})") from None


def read_json(text: str) -> Written:
    """The one value of a JSON text. Lines are not known."""
    written = Written()

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            times = Counter(key for key, _ in pairs)
            written.faults.extend(((), f"the key {key[:80]!r} is there more than once", 0) for key in made if times[key] > 1)
        return made

    try:
        written.value = json.loads(text, object_pairs_hook=once, parse_float=number)
    except json.JSONDecodeError as error:
        raise TextError(f"is not JSON: {error.msg}", error.lineno) from None
    except RecursionError:
        raise TextError(f"is nested deeper than {DEEPEST} levels") from None
    except ValueError:
        raise TextError("has a number that is too long") from None
    _measure(written.value)
    return written


def _measure(value: Any) -> None:
    level, nodes = [value], 0
    for _ in range(DEEPEST):
        nodes += len(level)
        if nodes > MOST_NODES:
            raise TextError(f"has more than {MOST_NODES:,} parts")
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return
    raise TextError(f"is nested deeper than {DEEPEST} levels")


def _parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []


class YamlReader:
    """Documents of one YAML text, one by one; raises TextError where the text can't be read on."""

    def __init__(self, text: str) -> None:
        self._events = yaml.CSafeLoader(text)
        self._nodes = 0
        self._written = Written()
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: list[_Container] = []

    def next(self) -> Written | None:
        """The next document; None at the end."""
        try:
            while True:
                event = self._events.get_event()
                if event is None or isinstance(event, yaml.StreamEndEvent):
                    return None
                if isinstance(event, yaml.DocumentStartEvent):
                    self._written, self._anchors, self._open = Written(), {}, []
                elif isinstance(event, yaml.DocumentEndEvent):
                    return self._written
                else:
                    self._take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise TextError(f"is not YAML: {error.problem or error.context}", None if mark is None else mark.line + 1) from None
        except yaml.YAMLError as error:
            raise TextError(f"is not YAML: {' '.join(str(error).split())[:200]}") from None

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._place_scalar(event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._begin(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            closed = self._open.pop()
            if closed.anchor is not None:
                self._anchors[closed.anchor] = (closed.value, self._nodes - closed.nodes_before)
        elif isinstance(event, yaml.AliasEvent):
            self._repeat(event)

    def _repeat(self, event: Any) -> None:
        line = event.start_mark.line + 1
        value, weight = self._anchors.get(event.anchor, (None, -1))
        if weight < 0:
            raise TextError(f"the alias *{event.anchor[:80]} names nothing that is complete above it", line)
        self._count(weight, line)
        self._place(value, line)

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            raise TextError(f"has more than {MOST_NODES:,} parts (aliases counted in full)", line)

    def _begin(self, event: Any) -> None:
        line = event.start_mark.line + 1
        container = _Container({} if isinstance(event, yaml.MappingStartEvent) else [], (), event.anchor, self._nodes)
        self._count(1, line)
        if len(self._open) >= DEEPEST:
            raise TextError(f"is nested deeper than {DEEPEST} levels", line)
        container.steps = self._place(container.value, line)
        if event.tag is not None and not event.implicit:
            self._fault(container.steps, f"the tag {event.tag} is not read here", line)
        self._open.append(container)

    def _place_scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        self._count(1, line)
        top = self._open[-1] if self._open else None
        if top is not None and top.wants_key():
            self._take_key(top, event, line)
            return
        value = event.value if not event.implicit[0] else plain(event.value)
        steps = self._place(value, line + 1 if event.style in ("|", ">") else line)
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self._fault(steps, f"the tag {event.tag} is not read here", line)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)

    def _take_key(self, top: _Container, event: Any, line: int) -> None:
        top.key = event.value
        steps = (*top.steps, event.value)
        if event.implicit[0] and event.value in TRUE | FALSE:
            self._written.bare_keys.append((steps, line))
        if event.value == "<<" and event.implicit[0]:
            self._fault(steps, "merge keys are not read here: write the fields out", line)
        if event.value in top.value:
            self._fault(steps, f"the key {event.value[:80]!r} is there more than once", line)

    def _place(self, value: Any, line: int) -> Steps:
        """Puts a value where the document is being read; returns its path."""
        steps: Steps = ()
        if not self._open:
            self._written.value = value
        else:
            top = self._open[-1]
            if top.wants_key():
                raise TextError("a key is a mapping, a list or an alias", line)
            steps = (*top.steps, top.put(value))
        self._written.lines.setdefault(steps, line)
        return steps

    def _fault(self, steps: Steps, reason: str, line: int) -> None:
        self._written.faults.append((steps, reason, line))


@dataclass(slots=True)
class _Container:
    value: Any
    steps: Steps
    anchor: str | None
    nodes_before: int
    key: str | None = None

    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.value, dict)

    def put(self, value: Any) -> str | int:
        if isinstance(self.value, list):
            self.value.append(value)
            return len(self.value) - 1
        key, self.key = self.key, None
        self.value.setdefault(key, value)
        return key if key is not None else ""


def plain(text: str) -> str | int | float | bool | None:
    """What an unquoted scalar means to kubectl. Dates are text."""
    if text in NULL:
        return None
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    digits = text.replace("_", "") if text[0] in "0123456789+-." else ""
    if not digits or len(digits) > LONGEST_NUMBER:
        return text
    if INTEGER.fullmatch(digits):
        return int(re.sub(r"^([-+]?)0(?=[0-7])", r"\g<1>0o", digits), 0)
    return number(digits) if FLOAT.fullmatch(digits) else text


def number(digits: str) -> int | float:
    """1.0 is the whole number 1, as in JSON."""
    value = float(digits)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
