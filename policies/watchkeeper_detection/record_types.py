"""Record types: msgspec structs made from the rows of the vocabulary, holding just the fields that are read.

Every field is optional and `None` is *absent* (a JSON null in a log is absent too). Objects of fields are never None: a
record without `user` holds an empty one, so that a path is read without a test on its way. Open fields and lists of
objects stay `msgspec.Raw` until a rule opens them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from watchkeeper_detection.fields import Field, attribute_name, fields

NO_RAW = msgspec.Raw(b"null")

DECODED: dict[str, Any] = {
    "string": str | None,
    "timestamp": str | None,  # text until read: nanoseconds would be lost in a datetime
    "duration": str | None,
    "bytes": str | None,
    "int": int | None,
    "uint": int | None,
    "double": float | None,
    "bool": bool | None,
    "list(string)": list[str] | None,
    "list(int)": list[int] | None,
    "map(string)": dict[str, str] | None,
}


def is_raw(field: Field) -> bool:
    """Whether the field stays undecoded until it is read."""
    return field.open or field.type in ("dyn", "list(dyn)")


@cache
def record_type(root: str, reads: frozenset[str] | None = None) -> type[msgspec.Struct]:
    """Struct for one root with the fields in `reads` (paths of the vocabulary; None: all of them)."""
    rows = [field for field in fields().values() if field.root == root and (reads is None or field.path in reads)]
    return _struct(root, rows)


def _struct(path: str, rows: list[Field]) -> type[msgspec.Struct]:
    depth = path.count(".") + 1
    members: list[tuple[str, Any, Any]] = []
    keys: dict[str, str] = {}
    children: dict[str, list[Field]] = {}
    for row in rows:
        words = row.path.split(".")
        if len(words) > depth + 1:
            children.setdefault(words[depth], []).append(row)
            continue
        name = attribute_name(words[depth])
        keys[name] = row.key
        members.append((name, msgspec.Raw, NO_RAW) if is_raw(row) else (name, DECODED[row.type], None))
    for word, below in children.items():
        struct = _struct(f"{path}.{word}", below)
        name = attribute_name(word)
        keys[name] = word
        members.append((name, struct, msgspec.field(default_factory=struct)))
    return msgspec.defstruct(path.replace(".", "_"), members, rename=keys, gc=False)


@cache
def _empty(root: str) -> msgspec.Struct:
    return record_type(root)()


def empty_root(root: str) -> msgspec.Struct:
    """The object of a root that an event does not carry: every field is absent. Shared; never written to."""
    return _empty(root)
