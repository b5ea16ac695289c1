"""How the paths that a tree reads are written as text: `audit.requestObject.spec.containers[].image`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watchkeeper_detection.cel.tree import Call, Constant, Field, Local, Select, children
from watchkeeper_detection.fields import fields

if TYPE_CHECKING:
    from watchkeeper_detection.cel.tree import Node

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")


def path_text(path: str, words: tuple[str | int, ...]) -> str:
    """The path with its words: a name after a point, any other key in brackets and quotes, an index in brackets."""
    return path + "".join(f"[{word}]" if isinstance(word, int) else f".{word}" if _NAME.fullmatch(word) else f'["{word}"]' for word in words)


def captured_key(node: Field) -> str:
    """Key under which a field's scalar is captured: its words after points, behind the step's name where it is an earlier one's."""
    return ".".join((*((node.step,) if node.step else ()), node.path, *map(str, node.words)))


def is_open(path: str) -> bool:
    """Whether anything may be named below this field of the vocabulary."""
    row = fields()[path]
    return row.open or "dyn" in row.type


def open_path(node: Node) -> str | None:
    """The open path that this expression reads, None when it reads none or one that isn't fixed."""
    match node:
        case Field(path=path, words=words, step=""):
            return path_text(path, words) if is_open(path) else None
        case Local(origin=origin):
            return origin or None
        case Select(operand=operand, name=name):
            above = open_path(operand)
            return above and path_text(above, (name,))
        case Call(function="_[_]", arguments=(operand, Constant(value=str() | int() as key))) if key.__class__ is not bool:
            above = open_path(operand)
            return above and path_text(above, (key,))
    return None


def open_paths(tree: Node) -> set[str]:
    """Every open path that the tree reads, the longest form of each."""
    found: set[str] = set()
    pending: list[Node] = [tree]
    for node in pending:
        path = open_path(node)
        if path is None:
            pending.extend(children(node))
        else:
            found.add(path)
    return found
