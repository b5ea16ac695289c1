"""Whether a condition can hold at all when something is known of the event before it is judged: that no container did it, that a file is only read.

What comes out is on the safe side: a condition that is said not to hold never does; one that is said to be able to may still not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from watchkeeper_detection.cel.tree import And, Call, Choice, Constant, Default, Field, Node, Not, Or, Present

if TYPE_CHECKING:
    from collections.abc import Mapping

ABSENT: Final = object()
"""What is supposed of a field that the event does not have."""
PRESENT: Final = object()
"""What is supposed of one that it has, whatever its value is."""

Outcomes = frozenset[object]  # of True, False and ABSENT: what may come out
TRUE, FALSE, NOTHING = frozenset({True}), frozenset({False}), frozenset({ABSENT})
ANY: Outcomes = frozenset({True, False, ABSENT})
STRICT = frozenset({"_==_", "_!=_", "_in_", ".startsWith", ".endsWith", ".contains", ".matches"})
"""Functions that give nothing when they are given nothing."""


def can_hold(tree: Node | None, supposed: Mapping[str, object]) -> bool:
    """`supposed`: path, or root with a dot for all fields below it → value, ABSENT or PRESENT."""
    return tree is None or True in _outcomes(tree, supposed)


def _outcomes(node: Node, supposed: Mapping[str, object]) -> Outcomes:
    match node:
        case Constant(value=bool() as value):
            return frozenset({value})
        case Field():
            known = _value(node, supposed)
            return ANY if known in (None, PRESENT) else frozenset({known})
        case Present(operand=Field() as field):
            known = _value(field, supposed)
            return TRUE | FALSE if known is None else FALSE if known is ABSENT else TRUE
        case Default(operand=Field() as field, default=Constant(value=bool() as default)) if _value(field, supposed) is ABSENT:
            return frozenset({default})
        case Not(operand=operand):
            return frozenset(each if each is ABSENT else not each for each in _outcomes(operand, supposed))
        case And(operands=operands):
            return _joined([_outcomes(operand, supposed) for operand in operands], all_of=True)
        case Or(operands=operands):
            return _joined([_outcomes(operand, supposed) for operand in operands], all_of=False)
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return _chosen(_outcomes(condition, supposed), then, otherwise, supposed)
        case Call():
            return _called(node, supposed)
    return ANY


def _value(field: Field, supposed: Mapping[str, object]) -> object:
    """What is supposed of a field of the event that is judged; None: nothing."""
    if field.step or field.words:
        return None
    return supposed.get(field.path, supposed.get(field.path.partition(".")[0] + "."))


def _joined(each: list[Outcomes], *, all_of: bool) -> Outcomes:
    """Of `&&` (`all_of`) and `||`: one operand that is false (true) decides, whatever the others are."""
    decisive = not all_of
    found: set[object] = set()
    if any(decisive in outcomes for outcomes in each):
        found.add(decisive)
    if any(outcomes == {decisive} for outcomes in each):
        return frozenset(found)
    if all(all_of in outcomes for outcomes in each):
        found.add(all_of)
    if any(ABSENT in outcomes for outcomes in each):
        found.add(ABSENT)
    return frozenset(found)


def _chosen(condition: Outcomes, then: Node, otherwise: Node, supposed: Mapping[str, object]) -> Outcomes:
    found: set[object] = {ABSENT} & condition
    if True in condition:
        found |= _outcomes(then, supposed)
    if False in condition:
        found |= _outcomes(otherwise, supposed)
    return frozenset(found)


def _called(node: Call, supposed: Mapping[str, object]) -> Outcomes:
    values = [_value(argument, supposed) if isinstance(argument, Field) else None for argument in node.arguments]
    if node.function in STRICT and ABSENT in values:
        return NOTHING
    if node.function in ("_==_", "_!=_") and len(node.arguments) == 2:
        sides = [argument.value if isinstance(argument, Constant) else value for argument, value in zip(node.arguments, values, strict=True)]
        if all(isinstance(side, bool) for side in sides):
            return frozenset({(sides[0] == sides[1]) is (node.function == "_==_")})
    return ANY
