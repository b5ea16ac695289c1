"""Functions of the name space `math`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel.arithmetic import integer, no_overload, unsigned
from watchkeeper_detection.cel.values import UInt

if TYPE_CHECKING:
    from collections.abc import Callable


def _numbers(arguments: tuple[Any, ...]) -> list[int | float]:
    found = list(arguments[0]) if len(arguments) == 1 and isinstance(arguments[0], list | tuple) else list(arguments)
    numbers: list[int | float] = []
    for each in found:
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise no_overload()
        numbers.append(each)
    if not numbers:
        raise no_overload()
    return numbers


def greatest(*arguments: Any) -> Any:
    return max(_numbers(arguments))


def least(*arguments: Any) -> Any:
    return min(_numbers(arguments))


def _of_double(operation: Callable[[float], Any]) -> Callable[[Any], Any]:
    def function(value: Any) -> Any:
        if value.__class__ is not float:
            raise no_overload()
        return operation(value)

    return function


def _whole(operation: Callable[[float], int]) -> Callable[[Any], Any]:
    return _of_double(lambda value: math.copysign(float(operation(value)), value) if math.isfinite(value) else value)


ceil = _whole(math.ceil)
floor = _whole(math.floor)
trunc = _whole(math.trunc)
half_away_from_zero = _whole(lambda value: int(math.copysign(math.floor(abs(value) + 0.5), value)) if abs(value) < 2**52 else int(value))
is_nan = _of_double(math.isnan)
is_inf = _of_double(math.isinf)
is_finite = _of_double(math.isfinite)


def absolute(value: Any) -> Any:
    if value.__class__ is int:
        return integer(abs(value))
    if value.__class__ in (UInt, float):
        return value if value.__class__ is UInt else abs(value)
    raise no_overload()


def sign(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise no_overload()
    if isinstance(value, float) and math.isnan(value):
        return value
    return value.__class__((value > 0) - (value < 0))


def square_root(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise no_overload()
    return math.sqrt(value) if value >= 0 else math.nan


def _bits(operation: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    def function(left: Any, right: Any) -> Any:
        if left.__class__ is not right.__class__ or left.__class__ not in (int, UInt):
            raise no_overload()
        return left.__class__(operation(int(left), int(right)))

    return function


bit_and = _bits(lambda left, right: left & right)
bit_or = _bits(lambda left, right: left | right)
bit_xor = _bits(lambda left, right: left ^ right)


def bit_not(value: Any) -> Any:
    if value.__class__ is int:
        return ~value
    if value.__class__ is UInt:
        return unsigned(int(value) ^ (2**64 - 1))
    raise no_overload()


def _shift(value: Any, by: Any) -> tuple[int, int]:
    if value.__class__ not in (int, UInt) or by.__class__ is not int or by < 0:
        raise no_overload()
    return int(value) & (2**64 - 1), min(by, 64)


def shift_left(value: Any, by: Any) -> Any:
    bits, places = _shift(value, by)
    return _signed_like(value, bits << places & (2**64 - 1))


def shift_right(value: Any, by: Any) -> Any:
    """Zeros come in from the left, also for negative numbers."""
    bits, places = _shift(value, by)
    return _signed_like(value, bits >> places)


def _signed_like(value: Any, bits: int) -> Any:
    if value.__class__ is UInt:
        return UInt(bits)
    return bits - 2**64 if bits >= 2**63 else bits
