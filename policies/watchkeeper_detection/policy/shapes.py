"""Texts that a policy is written in: what each must look like, and how long it may be.

A shape is checked here with words that a user understands, and stands in the CRD as pattern and bounds, so that the API
server refuses the same texts. Patterns are RE2 and are matched against the whole text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

VISIBLE = re.compile(r"[^\t\n\f\r ]")  # what RE2 means by \S: to Python a vertical tab is space as well
LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
VALUE = "([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
PATH = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a text must look like.

    words    completes the sentence "… is not …"
    longest  in characters, as the API server counts them
    pattern  RE2, None: anything
    format   of the API server, where it knows one
    empty    whether the empty text is one: its pattern then says so too
    """

    words: str
    longest: int
    pattern: str | None = None
    format: str | None = None
    empty: bool = False

    def check(self, text: str) -> str:
        if (not text and not self.empty) or (self.pattern is None and VISIBLE.search(text) is None):
            raise PydanticCustomError("empty", "is empty")
        short = self.longest < 100  # the words of a short text's shape say how long it may be
        if self.pattern is not None and (short or len(text) <= self.longest) and re.fullmatch(self.pattern, text[: self.longest + 1], re.ASCII) is None:
            raise PydanticCustomError("shape", "{text} is not {words}", {"text": shown(text), "words": self.words})
        if len(text) > self.longest:
            raise PydanticCustomError("too_long", "has {length} characters, more than the {longest} allowed", {"length": len(text), "longest": self.longest})
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # A text of spaces only is refused like an empty one, and both by a pattern: the API server has no other word for it.
        pattern = r"\S" if self.pattern is None else f"^(?:{self.pattern})$"
        bounds = {"minLength": 1} if not self.empty else {}
        return {**handler(schema), **bounds, "maxLength": self.longest, "pattern": pattern, **({"format": self.format} if self.format else {})}


def shown(value: object, longest: int = 80) -> str:
    """A value of a policy as a message may show it: text quoted, control characters escaped, cut; a list or mapping by that word."""
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = value[: longest + 1] if isinstance(value, str) else value
    quoted = f"'{text}'" if isinstance(text, str) and text.isprintable() else ascii(text)
    return quoted if len(quoted) <= longest else quoted[: longest - 1] + "…"


NANOSECONDS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}


def nanoseconds(duration: str) -> int:
    """`5m` → 300,000,000,000. A day has 24 hours."""
    return int(duration[:-1]) * NANOSECONDS[duration[-1]]


Name = Annotated[str, Shape("a name of lower-case letters, digits and dashes (at most 63, a letter or digit at both ends)", 63, LABEL)]
ListName = Annotated[
    str,
    Shape(
        "a list's name: a lower-case letter, then letters, digits and dashes (rules read it as lists.<name>, dashes as underscores)",
        63,
        "[a-z]([-a-z0-9]*[a-z0-9])?",
    ),
]
StepName = Annotated[
    str, Shape("a step's name: a lower-case letter, then letters, digits and underscores (later steps read it as <name>.<field>)", 63, "[a-z][a-z0-9_]*")
]
EventKind = Annotated[str, Shape("an event kind such as audit.request or process.exec", 63, r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")]
Cel = Annotated[str, Shape("a CEL expression", 4096)]
Key = Annotated[str, Shape("a CEL expression", 512)]
Duration = Annotated[str, Shape("a duration such as 30s, 5m, 2h or 14d", 6, "[1-9][0-9]{0,4}[smhd]")]
Technique = Annotated[str, Shape("an ATT&CK technique id such as T1609 or T1550.001", 9, r"T[0-9]{4}(\.[0-9]{3})?")]
Template = Annotated[
    str, Shape("a message: braces hold a field's path as in {identity.id}, and {{ and }} stand for braces", 512, rf"([^{{}}]|\{{\{{|\}}\}}|\{{{PATH}\}})*")
]
Url = Annotated[str, Shape("a web address such as https://attack.mitre.org/techniques/T1609/", 512, r"https?://[!-~]+")]
Title = Annotated[str, Shape("a title", 120)]
Sentence = Annotated[str, Shape("a sentence", 256)]
Paragraph = Annotated[str, Shape("a text", 1024)]
Page = Annotated[str, Shape("a text", 8192)]
Tag = Annotated[str, Shape("a word", 63)]
ListValue = Annotated[str, Shape("a value", 512)]
ActionKind = Annotated[str, Shape("an action kind such as IsolatePod", 63, "[A-Z][A-Za-z0-9]*")]
Target = Annotated[str, Shape("a target: process.pod, actor.pod or the name of a sequence's step", 63, r"process\.pod|actor\.pod|[a-z][a-z0-9_]*")]
Moment = Annotated[
    str,
    Shape("a time in UTC such as 2026-12-31T00:00:00Z", 20, r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", format="date-time"),
]
NodeName = Annotated[
    str,
    Shape(
        "a node's name: lower-case letters, digits, dashes and dots (at most 253, a letter or digit at both ends of each part)", 253, rf"{LABEL}(\.{LABEL})*"
    ),
]
# No format: the API server would take a list for a time (seen with 0.34.1).
Instant = Annotated[
    str,
    Shape(
        "a time in UTC such as 2026-12-31T00:00:00.25Z",
        30,
        r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z",
    ),
]
LabelKey = Annotated[
    str,
    Shape(
        "a label's key such as app or example.com/team",
        317,
        rf"({LABEL}(\.{LABEL})*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?",
    ),
]
LabelValue = Annotated[
    str,
    Shape("a label's value: at most 63 letters, digits, dashes, underscores and dots, a letter or digit at both ends", 63, VALUE, empty=True),
]
NamespacePattern = Annotated[str, Shape("a namespace, or a pattern of one such as team-*", 63, r"[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?")]
