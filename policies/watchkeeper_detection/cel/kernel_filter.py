"""What of a condition the kernel can decide, as data.

The filter lets through at least what the condition holds for: a test that the kernel can't make is left out, which lets
more through. Where nothing was left out the filter is *complete*, and then it may also kill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from watchkeeper_detection.cel.spelling import spell
from watchkeeper_detection.cel.tree import And, Call, Constant, Field, ListName, ListOf, Node, Not, Or, walk
from watchkeeper_detection.fields import fields

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_ALTERNATIVES = 64
MAX_TESTS = 16  # of one alternative
MAX_VALUES = 64  # of one test

Value = str | int | bool


class FieldTest(msgspec.Struct, frozen=True):
    """One test of one field: it equals, or starts with, one of the values; `denied` turns it round."""

    path: str
    op: Literal["eq", "prefix"]
    values: tuple[Value, ...]
    denied: bool = False


class KernelFilter(msgspec.Struct, frozen=True):
    """An event passes when all tests of an alternative hold. An alternative without tests lets everything pass, no alternative nothing.

    A test of a field that the event does not have fails, denied or not.
    """

    alternatives: tuple[tuple[FieldTest, ...], ...]
    complete: bool


def exact(tree: Node) -> tuple[str, ...]:
    """What keeps the kernel from deciding the condition without error: paths of fields, or the text of what reads none. Empty: nothing."""
    offending: list[str] = []
    pending = [tree]
    for node in pending:
        match node:
            case And(operands=operands) | Or(operands=operands):
                pending.extend(operands)
            case Not(operand=operand):
                pending.append(operand)
            case _ if not _is_exact(node):
                paths = [each.path for each in walk(node) if isinstance(each, Field)]
                inexact = [path for path in paths if not fields()[path].exact]
                offending.extend(inexact or paths or [spell(node)])
    return tuple(dict.fromkeys(offending))


def kernel_filter(tree: Node, lists: Mapping[str, Collection[str]]) -> KernelFilter:
    building = _Building(lists)
    alternatives = building.alternatives(tree, denied=False)
    return KernelFilter(tuple(dict.fromkeys(alternatives)), complete=building.complete)


def _is_exact(node: Node) -> bool:
    match node:
        case Constant(type="bool"):
            return True
        case Field(type="bool"):
            return _exact_field(node)
        case Call(function="_==_" | "_!=_", arguments=(left, right)):
            return (_exact_field(left) and _comparable(right)) or (_exact_field(right) and _comparable(left))
        case Call(function="_in_", arguments=(left, ListName() | ListOf() as among)):
            return _exact_field(left) and (isinstance(among, ListName) or all(map(_comparable, among.elements)))
        case Call(function=".startsWith", arguments=(left, right)):
            return _exact_field(left) and _comparable(right)
    return False


def _exact_field(node: Node) -> bool:
    return isinstance(node, Field) and not node.words and not node.step and node.type in ("string", "int", "bool") and fields()[node.path].exact


def _comparable(node: Node) -> bool:
    return isinstance(node, Constant) and node.type in ("string", "int", "bool")


class _Building:
    """Conditions as alternatives of tests, negation pushed down to the tests; what does not fit is left out."""

    def __init__(self, lists: Mapping[str, Collection[str]]) -> None:
        self._lists = lists
        self.complete = True

    def alternatives(self, node: Node, *, denied: bool) -> list[tuple[FieldTest, ...]]:
        match node:
            case Not(operand=operand):
                return self.alternatives(operand, denied=not denied)
            case And(operands=operands) | Or(operands=operands):
                each = [self.alternatives(operand, denied=denied) for operand in operands]
                return self._all_of(each) if isinstance(node, And) is not denied else self._one_of(each)
            case Constant(value=bool() as value):
                return [()] if value is not denied else []
        test = self._test(node, denied=denied) if _is_exact(node) else None
        if test is None:
            self.complete = False
            return [()]
        return [(test,)]

    def _all_of(self, operands: list[list[tuple[FieldTest, ...]]]) -> list[tuple[FieldTest, ...]]:
        made: list[tuple[FieldTest, ...]] = [()]
        for operand in sorted(operands, key=len):
            product = [tuple(dict.fromkeys((*one, *other))) for one in made for other in operand]
            if len(product) > MAX_ALTERNATIVES or any(len(tests) > MAX_TESTS for tests in product):
                self.complete = False
                continue
            made = product
        return made

    def _one_of(self, operands: list[list[tuple[FieldTest, ...]]]) -> list[tuple[FieldTest, ...]]:
        made = list(dict.fromkeys(tests for operand in operands for tests in operand))
        if len(made) > MAX_ALTERNATIVES:
            self.complete = False
            return [()]
        return made

    def _test(self, node: Node, *, denied: bool) -> FieldTest | None:
        match node:
            case Field(path=path):
                return FieldTest(path, "eq", (True,), denied=denied)
            case Call(function=function, arguments=(left, right)):
                if isinstance(left, Constant):
                    left, right = right, left
                values = self._values(right)
                if not isinstance(left, Field) or values is None:
                    return None
                return FieldTest(left.path, "prefix" if function == ".startsWith" else "eq", values, denied=denied is not (function == "_!=_"))
        return None

    def _values(self, node: Node) -> tuple[Value, ...] | None:
        match node:
            case Constant(value=str() | int() as value):
                return (value,)
            case ListName(name=name):
                values: tuple[Value, ...] = tuple(sorted(self._lists.get(name, ())))
            case ListOf(elements=elements):
                values = tuple(element.value for element in elements if isinstance(element, Constant) and isinstance(element.value, str | int))
            case _:
                return None
        return values if len(values) <= MAX_VALUES else None
