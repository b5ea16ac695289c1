"""What a condition costs to run, as a rough order: `&&` and `||` come out the same in any order, so the cheap parts run first."""

from __future__ import annotations

from watchkeeper_detection.cel.paths import is_open
from watchkeeper_detection.cel.tree import And, Call, Constant, Default, Field, ListName, ListOf, Local, Loop, Node, Not, Or, Present, children
from watchkeeper_detection.vocabulary import COMMON_ROOTS

COMPUTED = frozenset({*COMMON_ROOTS, "kubernetes"})  # roots that readers compute when first asked
_CALLS = {"_==_": 1, "_!=_": 1, "_in_": 1, "_<_": 1, "_<=_": 1, "_>_": 1, "_>=_": 1, ".startsWith": 2, ".endsWith": 2, ".contains": 2, "ieq": 3, "iin": 3}
_CALL = 8  # any other function
_OPEN = 6  # decoding an open field, once per event
_COMPUTED = 12
_TURNS = 8  # of a loop, when nothing is known of what it walks


def is_computed(path: str) -> bool:
    """Whether the field is computed when a rule first asks."""
    return path.partition(".")[0] in COMPUTED


def cost(node: Node) -> int:
    """Rough cost in units of one comparison of a closed field."""
    match node:
        case Constant() | Local() | ListName():
            return 0
        case Field(path=path):
            return (_COMPUTED if is_computed(path) else 1) + (_OPEN if is_open(path) or node.words else 0)
        case Present(operand=operand) | Not(operand=operand):
            return cost(operand)
        case Default(operand=operand):
            return 1 + cost(operand)
        case ListOf(elements=elements):
            return sum(map(cost, elements))
        case Call(function=function, arguments=arguments):
            return _CALLS.get(function, _CALL) + sum(map(cost, arguments))
        case And(operands=operands) | Or(operands=operands):
            return sum(map(cost, operands))
        case Loop(over=over):
            turns = len(over.elements) if isinstance(over, ListOf) else _TURNS
            return cost(over) + turns * (2 + sum(cost(each) for each in children(node) if each is not over))
    return 2 + sum(map(cost, children(node)))
