"""The vocabulary: every field a rule may read, its type and its meaning; `docs/fields.md` is generated from it.

A path is `root.name.name…`. *Closed* fields are typed and an unknown name below a closed root is refused; *open* fields
hold the provider's own JSON, whatever a rule names below them is dynamic.
"""

from __future__ import annotations

import difflib
import keyword
from dataclasses import dataclass
from functools import cache
from typing import Literal

FieldType = Literal["string", "int", "uint", "double", "bool", "timestamp", "duration", "bytes", "list(string)", "list(int)", "map(string)", "dyn", "list(dyn)"]


@dataclass(frozen=True, slots=True)
class Field:
    """One row of the vocabulary.

    path       `audit.user.username`
    type       a CEL type; `dyn` and `list(dyn)` for the provider's own JSON
    doc        one line for users, with the source of the fact where it is not obvious
    open       anything may be named below it
    late       known only after the event (pod labels, owner, hash)
    exact      the kernel can decide it without error (what `kill` needs)
    untrusted  chosen by whoever may be the attacker
    untold     why nobody tells it yet: it is absent
    json       the provider's key, where it is not the last word of the path
    """

    path: str
    type: FieldType
    doc: str
    open: bool = False
    late: bool = False
    exact: bool = False
    untrusted: bool = False
    json: str | None = None
    untold: str = ""

    @property
    def root(self) -> str:
        return self.path.partition(".")[0]

    @property
    def key(self) -> str:
        return self.json if self.json is not None else self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event: its name, what happened, and the roots that it carries beside the common ones."""

    name: str
    doc: str
    roots: tuple[str, ...]


@cache
def kinds() -> dict[str, Kind]:
    """Every kind of event by name."""
    from watchkeeper_detection import vocabulary  # noqa: PLC0415 (rows are made of this module's types)

    return {kind.name: kind for kind in vocabulary.KINDS}


@cache
def fields() -> dict[str, Field]:
    """Every field by path."""
    from watchkeeper_detection import vocabulary  # noqa: PLC0415

    return {field.path: field for field in vocabulary.FIELDS}


@cache
def branches() -> frozenset[str]:
    """Every path that is an object of fields rather than a field (`audit`, `audit.user`)."""
    return frozenset(path[:i] for path in fields() for i, letter in enumerate(path) if letter == ".")


def roots_of(kind: str) -> frozenset[str]:
    """Roots whose fields an event of this kind can have."""
    from watchkeeper_detection import vocabulary  # noqa: PLC0415

    return frozenset(kinds()[kind].roots) | frozenset(vocabulary.COMMON_ROOTS)


def nearest(name: str, candidates: object) -> str | None:
    """The candidate that a user most likely meant by `name`, for error messages."""
    found = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)  # type: ignore[call-overload]
    return found[0] if found else None


def attribute_name(name: str) -> str:
    """Python attribute that holds the field `name`: the name itself unless Python can't have it (`@type`, `in`)."""
    if name.isidentifier() and not keyword.iskeyword(name):
        return name
    return "x_" + "".join(letter if letter.isalnum() else "_" for letter in name)
