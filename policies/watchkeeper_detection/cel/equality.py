"""Equality and order of CEL values: numbers by value whatever their type, `true` is not `1`, different types are not equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.values import CIDR, IP, CelType, Duration, Failed, Map, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

_COMPARED_AT_MOST = 10_000  # elements of nested lists and maps in one comparison
_LEAVES = frozenset({str, bytes, bool, type(None), Timestamp, Duration, CelType, IP, CIDR})


def equal(left: object, right: object) -> bool:
    """Raises Failed when the values are too large to compare."""
    if left.__class__ is str or right.__class__ is str:
        return left.__class__ is right.__class__ and left == right
    return _Comparison().equal(left, right, 0)


class _Comparison:
    """One comparison; counts what it looks at, since shared sub-lists can make small expressions huge."""

    def __init__(self) -> None:
        self._left = _COMPARED_AT_MOST

    def equal(self, left: object, right: object, depth: int) -> bool:
        if left.__class__ in _LEAVES or right.__class__ in _LEAVES:
            return left.__class__ is right.__class__ and left == right
        if isinstance(left, int | float):
            return isinstance(right, int | float) and left == right
        if isinstance(left, list | tuple | frozenset):
            return isinstance(right, list | tuple | frozenset) and self._lists(_listed(left), _listed(right), depth)
        if isinstance(left, dict | Map):
            return isinstance(right, dict | Map) and self._maps(left, right, depth)
        return False

    def _spend(self, count: int, depth: int) -> None:
        self._left -= count
        if self._left < 0 or depth > 200:
            raise Failed("the values are too large to compare")

    def _lists(self, left: list[object] | tuple[object, ...], right: list[object] | tuple[object, ...], depth: int) -> bool:
        if len(left) != len(right):
            return False
        self._spend(len(left) + 1, depth)
        return all(self.equal(one, other, depth + 1) for one, other in zip(left, right, strict=True))

    def _maps(self, left: dict[Any, Any] | Map, right: dict[Any, Any] | Map, depth: int) -> bool:
        if len(left) != len(right):
            return False
        self._spend(len(left) + 1, depth)
        return all(not (key not in right or not self.equal(value, right.get(key), depth + 1)) for key, value in left.items())


def _listed(value: list[object] | tuple[object, ...] | frozenset[object]) -> list[object] | tuple[object, ...]:
    return tuple(sorted(value, key=str)) if isinstance(value, frozenset) else value


def is_in(value: Any, where: Any) -> object:
    """`value in where`. Raises Failed."""
    if isinstance(where, frozenset):
        return value.__class__ is str and value in where
    if isinstance(where, list | tuple):
        if value.__class__ is str:
            return value in where  # nothing but the same text equals a text
        comparison = _Comparison()
        return any(comparison.equal(value, each, 0) for each in where)
    if isinstance(where, Map):
        return value in where
    if isinstance(where, dict):
        return value.__class__ is str and where.get(value) is not None
    raise Failed("no such overload")


def ordered(compare: Callable[[Any, Any], Any]) -> Callable[[object, object], object]:
    """An order relation for values of one ordered type, or for numbers. Raises Failed for others."""

    def relation(left: Any, right: Any) -> object:
        if isinstance(left, int | float) and isinstance(right, int | float):
            if (left.__class__ is bool) is not (right.__class__ is bool):
                raise Failed("no such overload")
            if left.__class__ is not right.__class__ and float in (left.__class__, right.__class__):
                return compare(float(left), float(right))  # as doubles, also where that loses digits: the specification's cases
            return compare(left, right)
        if left.__class__ is right.__class__ and left.__class__ in (str, bytes, Timestamp, Duration):
            return compare(left, right)
        raise Failed("no such overload")

    return relation
