"""Which open paths a condition negates without asking whether they are there: such a rule is silent exactly when the field is missing."""

from __future__ import annotations

from watchkeeper_detection.cel.paths import open_path
from watchkeeper_detection.cel.tree import And, Call, Choice, Default, Node, Not, Or, Present, children


def unguarded(tree: Node) -> tuple[tuple[str, int, int], ...]:
    """(open path, line, column) of each, in the order of the text."""
    found: set[tuple[str, int, int]] = set()
    _visit(tree, frozenset(), found, negated=False)
    return tuple(sorted(found, key=lambda each: (each[1], each[2], each[0])))


def _visit(node: Node, asked: frozenset[str], found: set[tuple[str, int, int]], *, negated: bool) -> None:
    match node:
        case Present() | Default():
            return
        case And(operands=operands) | Or(operands=operands):
            asked |= _asked(operands, when_true=isinstance(node, And))
        case Choice(condition=condition):
            asked |= _asked((condition,), when_true=True)
        case Not() | Call(function="_!=_"):
            negated = True
    path = open_path(node)
    if path is not None:
        if negated and not any(each == path or each.startswith((path + ".", path + "[")) for each in asked):
            found.add((path, node.line, node.column))
        return
    for child in children(node):
        _visit(child, asked, found, negated=negated)


def _asked(operands: tuple[Node, ...], *, when_true: bool) -> frozenset[str]:
    """Open paths that the other operands of `&&` (or, denied, of `||`) ask for."""
    asked: set[str] = set()
    for operand in operands:
        present = operand if when_true else operand.operand if isinstance(operand, Not) else None
        if isinstance(present, Present):
            path = open_path(present.operand)
            if path is not None:
                asked.add(path)
    return frozenset(asked)
