"""What must hold of an event for a condition to hold: equalities and text tests on closed fields, as clauses.

The engine indexes rules by them. A clause is necessary: when the condition holds, at least one of its atoms does. Nothing
says that the clauses suffice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import re2

from watchkeeper_detection.cel.paths import is_open
from watchkeeper_detection.cel.tree import And, Bind, Call, Choice, Constant, Field, ListName, ListOf, Local, Loop, Node, Not, Or, Present
from watchkeeper_detection.cel.values import INT_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_ATOMS = 64  # a longer clause would cost the index more than it spares
_MAX_CLAUSES = 256

Op = Literal["eq", "ieq", "prefix", "suffix", "contains", "regex", "present"]


class Atom(msgspec.Struct, frozen=True):
    """One test of one closed field. `contains` and `eq` on a list of strings mean one of its elements: see `clauses`."""

    path: str
    op: Op
    value: str | int | bool


Clause = frozenset[Atom]
_TEXT_OPS: dict[str, Op] = {".startsWith": "prefix", ".endsWith": "suffix", ".contains": "contains", ".matches": "regex", "matches": "regex", "ieq": "ieq"}


def conjuncts(tree: Node) -> tuple[Node, ...]:
    """Operands of the `&&` on top; the tree itself where there is none."""
    if isinstance(tree, And):
        return tuple(each for operand in tree.operands for each in conjuncts(operand))
    return (tree,)


def clauses(tree: Node, lists: Mapping[str, Collection[str]]) -> tuple[Clause, ...]:
    """Clauses of scalar fields (string, int, bool) only; ones with more than 64 atoms are left out."""
    found = _necessary(tree, lists)
    return tuple(dict.fromkeys(clause for clause in found if clause and len(clause) <= MAX_ATOMS))


def _necessary(node: Node, lists: Mapping[str, Collection[str]]) -> list[Clause]:
    """Clauses that hold whenever the node is true; an empty list says nothing."""
    match node:
        case And(operands=operands):
            return [clause for operand in operands for clause in _necessary(operand, lists)][:_MAX_CLAUSES]
        case Or(operands=operands):
            return _any_of([_necessary(operand, lists) for operand in operands])
        case Not(operand=operand):
            return _denied(operand, lists)
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return _any_of([_necessary(condition, lists) + _necessary(then, lists), _denied(condition, lists) + _necessary(otherwise, lists)])
        case Bind(body=body):
            return _necessary(body, lists)
        case Field(type="bool"):
            return _atom(node, "eq", value=True)
        case Present(operand=Field() as operand):
            return _atom(operand, "present", value=True)
        case Call(function=function, arguments=(left, right)):
            return _comparison(function, left, right, lists)
    return _quantified(node, lists)


def _denied(node: Node, lists: Mapping[str, Collection[str]]) -> list[Clause]:
    """Clauses that hold whenever the node is false."""
    match node:
        case And(operands=operands):
            return _any_of([_denied(operand, lists) for operand in operands])
        case Or(operands=operands):
            return [clause for operand in operands for clause in _denied(operand, lists)][:_MAX_CLAUSES]
        case Not(operand=operand):
            return _necessary(operand, lists)
        case Field(type="bool"):
            return _atom(node, "eq", value=False)
        case Call(function="_!=_", arguments=(left, right)):
            return _comparison("_==_", left, right, lists)
    return []


def _any_of(sides: list[list[Clause]]) -> list[Clause]:
    """`||`: one clause of each side, united. The shortest ones, preferring a field that all sides ask for."""
    if not all(sides):
        return []
    united: list[Clause] = []
    shared = set.intersection(*({path for clause in side for path in _paths(clause)} for side in sides))
    for path in sorted(shared):
        about = [[clause for clause in side if path in _paths(clause)] for side in sides]
        united.append(frozenset().union(*(min(each, key=_cost) for each in about)))
    united.append(frozenset().union(*(min(side, key=_cost) for side in sides)))
    return united


def _paths(clause: Clause) -> set[str]:
    return {atom.path for atom in clause}


def _cost(clause: Clause) -> tuple[int, int]:
    """Fewer atoms are better, equalities better than text tests."""
    return sum(atom.op != "eq" for atom in clause), len(clause)


def _plain(node: Node) -> bool:
    return isinstance(node, Field) and not node.words and not node.step and not is_open(node.path) and node.type in ("string", "int", "bool")


def _atom(node: Node, op: Op, value: str | float | bool | None) -> list[Clause]:  # noqa: FBT001 (what the field is compared with)
    if not isinstance(node, Field) or not _plain(node) or not isinstance(value, str | int) or (value.__class__ is int and abs(value) > INT_MAX):
        return []
    return [frozenset({Atom(node.path, op, value)})]


def _comparison(function: str, left: Node, right: Node, lists: Mapping[str, Collection[str]]) -> list[Clause]:
    if function == "_==_":
        left, right = (right, left) if isinstance(left, Constant) else (left, right)
        if not isinstance(right, Constant) or isinstance(right.value, bytes) or right.type == "uint":
            return []
        if isinstance(left, Call) and left.function == ".lowerAscii":
            return _atom(left.arguments[0], "ieq", right.value)
        return _atom(left, "eq", right.value)
    if function in ("_in_", "iin"):
        values = _values(right, lists)
        op: Op = "eq" if function == "_in_" else "ieq"
        atoms = [_atom(left, op, value) for value in values or ()]
        return [frozenset().union(*(each[0] for each in atoms))] if atoms and all(atoms) else []
    if function in _TEXT_OPS and isinstance(right, Constant) and isinstance(right.value, str):
        if isinstance(left, Call) and left.function == ".lowerAscii":
            folded = _folded(_TEXT_OPS[function], right.value)
            return _atom(left.arguments[0], "regex", folded) if folded else []
        return _atom(left, _TEXT_OPS[function], right.value)
    return []


def _folded(op: Op, text: str) -> str | None:
    """RE2 pattern that holds of a text whenever the test holds of it in lower case; None for tests that may ask for more than letters."""
    literal = re2.escape(text)
    return {"prefix": rf"(?i)\A{literal}", "suffix": rf"(?i){literal}\z", "contains": rf"(?i){literal}"}.get(op)


def _values(node: Node, lists: Mapping[str, Collection[str]]) -> list[str | int] | None:
    if isinstance(node, ListName):
        return sorted(lists.get(node.name, ()))
    if not isinstance(node, ListOf):
        return None
    values = [
        element.value
        for element in node.elements
        if isinstance(element, Constant) and element.type in ("string", "int") and isinstance(element.value, str | int)
    ]
    return values if len(values) == len(node.elements) else None


def _quantified(node: Node, lists: Mapping[str, Collection[str]]) -> list[Clause]:
    """`[…].exists(x, field.contains(x))`: the predicate once for each element."""
    if not isinstance(node, Loop) or node.macro != "exists" or len(node.names) != 1 or node.predicate is None:
        return []
    values = _values(node.over, lists)
    if not values or len(values) > MAX_ATOMS:
        return []
    return _any_of([_necessary(_with(node.predicate, node.names[0], value), lists) for value in values])


def _with(node: Node, name: str, value: str | int) -> Node:
    """The node with a macro's variable replaced where a comparison asks for it."""
    match node:
        case Local(name=found) if found == name:
            return Constant(value=value, type="string" if isinstance(value, str) else "int", line=node.line, column=node.column)
        case Call(arguments=arguments):
            return msgspec.structs.replace(node, arguments=tuple(_with(argument, name, value) for argument in arguments))
        case And(operands=operands) | Or(operands=operands):
            return msgspec.structs.replace(node, operands=tuple(_with(operand, name, value) for operand in operands))
    return node
