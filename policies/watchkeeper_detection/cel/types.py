"""Types of CEL expressions, and the unification that finds them: `[]` is a list of something yet unknown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Type:
    """`int`, `list(string)`, `map(string, dyn)`; a name with `?` in front is yet unknown."""

    name: str
    args: tuple[Type, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(str(arg) for arg in self.args)})" if self.args else self.name

    @property
    def unknown(self) -> bool:
        return self.name[0] == "?"


DYN, BOOL, INT, UINT, DOUBLE = Type("dyn"), Type("bool"), Type("int"), Type("uint"), Type("double")
STRING, BYTES, NULL, TIMESTAMP, DURATION = Type("string"), Type("bytes"), Type("null_type"), Type("timestamp"), Type("duration")

# names of types as values → the type they stand for
TYPE_NAMES = {
    "bool": BOOL,
    "int": INT,
    "uint": UINT,
    "double": DOUBLE,
    "string": STRING,
    "bytes": BYTES,
    "null_type": NULL,
    "list": Type("list", (DYN,)),
    "map": Type("map", (DYN, DYN)),
    "type": Type("type", (DYN,)),
    "google.protobuf.Timestamp": TIMESTAMP,
    "google.protobuf.Duration": DURATION,
    "net.IP": Type("net.IP"),
    "net.CIDR": Type("net.CIDR"),
}


def list_of(element: Type) -> Type:
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", (key, value))


@cache
def read_type(text: str) -> Type:
    """`map(string, list(int))`, or the vocabulary's `map(string)`: its values are strings too."""
    found = re.fullmatch(r"([\w.?]+)(?:\((.*)\))?", text)
    if found is None:
        raise ValueError(f"{text!r} is no type")
    name, inside = found.groups()
    args = tuple(read_type(part.strip()) for part in _split(inside)) if inside else ()
    if name == "map" and len(args) == 1:
        args = (STRING, *args)
    return Type(name, args)


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


class Unifier:
    """What is known so far about the unknown types of one expression."""

    def __init__(self) -> None:
        self._known: dict[str, Type] = {}
        self._made = 0

    def fresh(self) -> Type:
        self._made += 1
        return Type(f"?{self._made}")

    def instance(self, template: Type, renamed: dict[str, Type]) -> Type:
        """The template with its one-letter parameters replaced by unknowns of its own."""
        if len(template.name) == 1:
            if template.name not in renamed:
                renamed[template.name] = self.fresh()
            return renamed[template.name]
        return Type(template.name, tuple(self.instance(arg, renamed) for arg in template.args)) if template.args else template

    def resolve(self, kind: Type) -> Type:
        while kind.unknown and kind.name in self._known:
            kind = self._known[kind.name]
        return Type(kind.name, tuple(self.resolve(arg) for arg in kind.args)) if kind.args else kind

    def final(self, kind: Type) -> Type:
        """What is still unknown is dynamic."""
        kind = self.resolve(kind)
        return DYN if kind.unknown else Type(kind.name, tuple(self.final(arg) for arg in kind.args))

    def accepts(self, pairs: list[tuple[Type, Type]]) -> bool:
        """Whether each second type can stand where the first is wanted; what that teaches is kept only if all can."""
        before = dict(self._known)
        if all(self._accepts(wanted, given) for wanted, given in pairs):
            return True
        self._known = before
        return False

    def _accepts(self, wanted: Type, given: Type) -> bool:
        wanted, given = self.resolve(wanted), self.resolve(given)
        if wanted == given or "dyn" in (wanted.name, given.name):
            if given.name == "dyn" and wanted.unknown:
                self._known[wanted.name] = given
            return True
        if wanted.unknown:
            return self._learn(wanted, given)
        if given.unknown:
            return self._learn(given, wanted)
        if NULL in (given, wanted):
            return (wanted if given == NULL else given).name in ("timestamp", "duration", "wrapper", "optional_type", "tuple")
        if wanted.name == given.name == "type":
            return True  # types are compared as values
        return wanted.name == given.name and len(wanted.args) == len(given.args) and all(map(self._accepts, wanted.args, given.args))

    def _learn(self, unknown: Type, kind: Type) -> bool:
        if unknown.name in str(kind).replace("(", " ").replace(")", " ").replace(",", " ").split():
            return False
        self._known[unknown.name] = kind
        return True

    def joined(self, kinds: list[Type]) -> Type:
        """The one type of a list's elements; dynamic when they differ, unknown when there are none."""
        if not kinds:
            return self.fresh()
        joint = kinds[0]
        for kind in kinds[1:]:
            if not self.accepts([(joint, kind)]):
                return DYN
            joint = self._more_general(joint, kind)
        return joint

    def _more_general(self, left: Type, right: Type) -> Type:
        return left if self._as_general(self.resolve(left), self.resolve(right)) else right

    def _as_general(self, left: Type, right: Type) -> bool:
        if left.name == "dyn" or left.unknown:
            return True
        if right.name == "dyn" or right.unknown or left == NULL:
            return False
        return right == NULL or (left.name == right.name and all(map(self._as_general, left.args, right.args)))
