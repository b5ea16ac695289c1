"""The checked tree: a condition as data. Nodes in a cluster get these, never text and never code.

Names are resolved, macros are nodes of their own, every node carries its type. `encode` and `decode` are the wire form;
a tree of another version is refused, since its meaning may differ.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

TREE_VERSION = 1
MAX_DEPTH = 100
MAX_NODES = 2000
MAX_ELEMENTS = 1000

Scalar: TypeAlias = bool | int | float | str | bytes | None
Macro = Literal["all", "exists", "exists_one", "filter", "map", "transformList", "transformMap", "transformMapEntry"]


class _Node(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag_field="node", tag=True):
    """What every node has: its CEL type as text, and where it stands in the text (1-based)."""

    type: str = "dyn"
    line: int = 1
    column: int = 1


class Constant(_Node, frozen=True, array_like=True, tag="constant"):
    """A literal: null, bool, int, float, text or bytes; `type` tells int from uint. (`Any`: msgspec has no union of text and bytes.)"""

    value: Any


class Field(_Node, frozen=True, array_like=True, tag="field"):
    """A field of the vocabulary, of the event judged (`step` empty) or of an earlier step's event.

    path   row of the vocabulary
    words  keys and indices below it, where it is open, a map or a list
    """

    path: str
    words: tuple[str | int, ...] = ()
    step: str = ""


class Variable(_Node, frozen=True, array_like=True, tag="variable"):
    """A declared variable: an attribute of what is judged."""

    name: str


class Local(_Node, frozen=True, array_like=True, tag="local"):
    """A variable of a macro; `origin` is the open path that it walks, `kubernetes.containers[]`, else empty."""

    name: str
    origin: str = ""


class ListName(_Node, frozen=True, array_like=True, tag="list_name"):
    """`lists.NAME`."""

    name: str


class TypeName(_Node, frozen=True, array_like=True, tag="type_name"):
    """A type as a value: `int`, `google.protobuf.Timestamp`."""

    name: str


class Select(_Node, frozen=True, array_like=True, tag="select"):
    """`operand.name`, where it is not a field of the vocabulary."""

    operand: Node
    name: str


class Present(_Node, frozen=True, array_like=True, tag="present"):
    """`has(operand)`."""

    operand: Node


class Default(_Node, frozen=True, array_like=True, tag="default"):
    """`get(operand, default)`."""

    operand: Node
    default: Node


class Call(_Node, frozen=True, array_like=True, tag="call"):
    """A function or an operator (`_==_`, `_[_]`); `member` when written as `first.function(rest)`."""

    function: str
    arguments: tuple[Node, ...]
    member: bool = False


class And(_Node, frozen=True, array_like=True, tag="and"):
    operands: tuple[Node, ...]


class Or(_Node, frozen=True, array_like=True, tag="or"):
    operands: tuple[Node, ...]


class Not(_Node, frozen=True, array_like=True, tag="not"):
    operand: Node


class Choice(_Node, frozen=True, array_like=True, tag="choice"):
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node


class ListOf(_Node, frozen=True, array_like=True, tag="list"):
    elements: tuple[Node, ...]


class MapOf(_Node, frozen=True, array_like=True, tag="map"):
    entries: tuple[tuple[Node, Node], ...]


class Loop(_Node, frozen=True, array_like=True, tag="loop"):
    """A macro over a list or map. One name: element or key; two: index and element, or key and value."""

    macro: Macro
    over: Node
    names: tuple[str, ...]
    predicate: Node | None
    result: Node | None


class Bind(_Node, frozen=True, array_like=True, tag="bind"):
    """`cel.bind(name, value, body)`."""

    name: str
    value: Node
    body: Node


class Unknown(_Node, frozen=True, array_like=True, tag="unknown"):
    """A name that nothing declares, where the checker was told to let it pass; a failure when evaluated."""

    name: str


Node: TypeAlias = (
    Constant
    | Field
    | Variable
    | Local
    | ListName
    | TypeName
    | Select
    | Present
    | Default
    | Call
    | And
    | Or
    | Not
    | Choice
    | ListOf
    | MapOf
    | Loop
    | Bind
    | Unknown
)


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    version: int
    tree: msgspec.Raw


def encode(tree: Node) -> bytes:
    return msgspec.msgpack.encode((TREE_VERSION, tree))


def decode(wire: bytes) -> Node:
    """Raises msgspec.DecodeError on bytes that are no tree, ValueError on a tree of another version or beyond the bounds."""
    envelope = msgspec.msgpack.decode(wire, type=_Wire)
    if envelope.version != TREE_VERSION:
        raise ValueError(f"tree version {envelope.version}, this program reads {TREE_VERSION}")
    try:
        tree: Node = msgspec.msgpack.decode(envelope.tree, type=Node)
    except RecursionError:
        raise ValueError("the tree is nested too deeply") from None
    require_bounds(tree)
    return tree


def children(node: Node) -> tuple[Node, ...]:
    """Direct sub-expressions, in the order of the text."""
    match node:
        case Select(operand=operand) | Present(operand=operand) | Not(operand=operand):
            return (operand,)
        case Default(operand=operand, default=default):
            return (operand, default)
        case Call(arguments=arguments):
            return arguments
        case And(operands=operands) | Or(operands=operands):
            return operands
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return (condition, then, otherwise)
        case ListOf(elements=elements):
            return elements
        case MapOf(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case Loop(over=over, predicate=predicate, result=result):
            return tuple(part for part in (over, predicate, result) if part is not None)
        case Bind(value=value, body=body):
            return (value, body)
    return ()


def walk(node: Node) -> list[Node]:
    """The node and everything below it; without recursion."""
    found = [node]
    for each in found:
        found.extend(children(each))
    return found


def require_bounds(tree: Node) -> None:
    """Raises ValueError when the tree is larger or deeper than any checked expression can be, or holds a constant that is none."""
    level: list[Node] = [tree]
    depth = count = 0
    while level:
        depth += 1
        count += len(level)
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise ValueError(f"the tree has more than {MAX_NODES} nodes or {MAX_DEPTH} levels")
        if any(isinstance(node, Constant) and not isinstance(node.value, bool | int | float | str | bytes | None) for node in level):
            raise ValueError("a constant is a list or a map")
        level = [child for node in level for child in children(node)]
