"""Operators and conversions of numbers, within 64 bits: beyond them is a failure, never a wrap."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel import times
from watchkeeper_detection.cel.values import INT_MAX, INT_MIN, NANOSECONDS, UINT_MAX, Duration, Failed, Timestamp, UInt

if TYPE_CHECKING:
    from collections.abc import Callable

_CONCATENATED_AT_MOST = 64 * 1024


def integer(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise Failed("integer overflow")
    return value


def unsigned(value: int) -> UInt:
    if not 0 <= value <= UINT_MAX:
        raise Failed("unsigned integer overflow")
    return UInt(value)


def no_overload() -> Failed:
    return Failed("no such overload")


def add(left: Any, right: Any) -> Any:
    if left.__class__ is right.__class__ and left.__class__ in (str, bytes):
        if len(left) + len(right) > _CONCATENATED_AT_MOST:
            raise Failed("the text is longer than 64 KiB")
        return left + right
    if isinstance(left, list | tuple | frozenset) and isinstance(right, list | tuple | frozenset):
        if len(left) + len(right) > 10_000:
            raise Failed("the list is longer than 10,000 elements")
        return (*left, *right)
    match left, right:
        case (Timestamp(), Duration()) | (Duration(), Timestamp()):
            return times.timestamp_of(left.ns + right.ns)
        case Duration(), Duration():
            return times.duration_of(left.ns + right.ns)
    return _numbers(left, right, lambda a, b: a + b)


def subtract(left: Any, right: Any) -> Any:
    match left, right:
        case Timestamp(), Timestamp():
            if not INT_MIN <= left.ns - right.ns <= INT_MAX:  # as the specification's implementations hold it
                raise Failed("the duration is out of range")
            return times.duration_of(left.ns - right.ns)
        case Timestamp(), Duration():
            return times.timestamp_of(left.ns - right.ns)
        case Duration(), Duration():
            return times.duration_of(left.ns - right.ns)
    return _numbers(left, right, lambda a, b: a - b)


def _numbers(left: Any, right: Any, operation: Callable[[Any, Any], Any]) -> Any:
    kind = left.__class__
    if kind is right.__class__:
        if kind is int:
            return integer(operation(left, right))
        if kind is UInt:
            return unsigned(operation(int(left), int(right)))
        if kind is float:
            return operation(left, right)
    raise no_overload()


def multiply(left: Any, right: Any) -> Any:
    return _numbers(left, right, lambda a, b: a * b)


def divide(left: Any, right: Any) -> Any:
    """Integers round towards zero."""
    if left.__class__ is float and right.__class__ is float:
        if right == 0.0:
            if left == 0.0 or math.isnan(left):
                return math.nan
            return math.copysign(math.inf, left) * math.copysign(1.0, right)
        return left / right
    return _numbers(left, right, _quotient)


def _quotient(left: float, right: float) -> int:
    if right == 0:
        raise Failed("division by zero")
    quotient = abs(int(left)) // abs(int(right))
    return quotient if (left < 0) is (right < 0) else -quotient


def remainder(left: Any, right: Any) -> Any:
    """Has the sign of the left side."""
    if left.__class__ is float:
        raise no_overload()
    return _numbers(left, right, lambda a, b: int(a) - _quotient(a, b) * int(b))


def negate(value: Any) -> Any:
    if value.__class__ is int:
        return integer(-value)
    if value.__class__ is float:
        return -value
    raise no_overload()


def _whole(value: float) -> int:
    if not math.isfinite(value):
        raise Failed("the number is out of range")
    return int(value)


def _digits(text: str) -> int:
    body = text[1:] if text[:1] in ("-", "+") else text
    if not body.isascii() or not body.isdigit() or len(body) > 40:
        raise Failed(f"{text[:40]!r} is no integer")
    return int(text)


def to_int(value: Any) -> Any:
    match value:
        case bool():
            raise no_overload()
        case int():
            return integer(int(value))
        case float():
            # a double just below the bounds may stand for a number beyond them
            if not -(2.0**63) < value < 2.0**63:
                raise Failed("the number is out of range")
            return int(value)
        case str():
            return integer(_digits(value))
        case Timestamp():
            return value.ns // NANOSECONDS
        case Duration():
            return math.trunc(value.ns / NANOSECONDS) if abs(value.ns) < 2**53 else value.ns // NANOSECONDS
    raise no_overload()


def to_uint(value: Any) -> Any:
    match value:
        case bool():
            raise no_overload()
        case int():
            return unsigned(int(value))
        case float():
            return unsigned(_whole(value))
        case str():
            return unsigned(_digits(value))
    raise no_overload()


def to_double(value: Any) -> Any:
    match value:
        case bool():
            raise no_overload()
        case int() | float():
            return float(value)
        case str():
            try:
                if "_" in value or value != value.strip():
                    raise ValueError  # noqa: TRY301 (Python reads more than CEL does)
                return float(value)
            except ValueError:
                raise Failed(f"{value[:40]!r} is no number") from None
    raise no_overload()


def to_bool(value: Any) -> Any:
    if value.__class__ is bool:
        return value
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise Failed("no bool")
