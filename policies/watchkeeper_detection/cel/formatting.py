"""`string(x)` and `text.format([…])`: how values are written."""

from __future__ import annotations

import math
import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from watchkeeper_detection.cel import network
from watchkeeper_detection.cel.strings import MADE_AT_MOST, a_string
from watchkeeper_detection.cel.values import CIDR, IP, CelType, Duration, Failed, Map, Timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

_CLAUSE = re.compile(r"%(?:(%)|(?:\.(\d{1,3}))?([a-zA-Z])|)")


def number_text(value: float) -> str:
    """The shortest text that reads back as the same double; whole numbers without a point."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    text = repr(value)
    if "e" not in text:
        return text.removesuffix(".0")
    digits, _, exponent = text.partition("e")
    return f"{digits}e{exponent[0]}{exponent[1:].lstrip('0').rjust(2, '0')}"


def to_string(value: object) -> object:
    """Raises Failed for values that have no text form."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return number_text(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise Failed("the bytes are not UTF-8") from None
        case Timestamp() | Duration():
            return str(value)
        case IP():
            return network.ip_text(value)
        case CIDR():
            return network.cidr_text(value)
    raise Failed("no such overload")


def format_text(template: object, arguments: object) -> object:
    """`%s %d %f %e %b %o %x %X %%`. Raises Failed: a clause that there is not, a missing or unfitting argument, a text over 64 KiB."""
    template = a_string(template)
    if not isinstance(arguments, list | tuple):
        raise Failed("no such overload")
    made, end, used, size = [], 0, 0, len(template)
    for found in _CLAUSE.finditer(template):
        made.append(template[end : found.start()])
        end = found.end()
        percent, precision, letter = found.groups()
        if percent:
            made.append("%")
            continue
        if letter is None or letter not in "sdfeboxX":
            raise Failed(f"unknown clause {found.group()!r} in the format")
        if used >= len(arguments):
            raise Failed(f"the format names argument {used + 1}, there are {len(arguments)}")
        made.append(_clause(letter, arguments[used], 6 if precision is None else int(precision), MADE_AT_MOST - size))
        size += len(made[-1])
        used += 1
        if size > MADE_AT_MOST:
            raise Failed("the text is longer than 64 KiB")
    return "".join([*made, template[end:]])


def _clause(letter: str, value: object, precision: int, room: int) -> str:
    if letter == "s":
        return _Plain(room).text(value)
    if letter in "dfe" and isinstance(value, float) and not math.isfinite(value):
        return number_text(value)
    if letter in "fe":
        return _decimal(letter, value, precision)
    if letter in "xX" and isinstance(value, str | bytes):
        text = (value.encode("utf-8", "replace") if isinstance(value, str) else value).hex()
        return text.upper() if letter == "X" else text
    if letter == "b" and isinstance(value, bool):
        return str(int(value))
    if letter == "d" and isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool) or not isinstance(value, int):
        raise Failed(f"%{letter} takes no such value")
    return format(int(value), letter)


def _decimal(letter: str, value: object, precision: int) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Failed(f"%{letter} takes numbers")
    if letter == "e":
        return f"{float(value):.{precision}e}"
    if isinstance(value, float):
        return f"{value:.{precision}f}"
    return f"{Decimal(int(value)).quantize(Decimal(1), ROUND_HALF_EVEN)}" + ("." + "0" * precision if precision else "")


class _Plain:
    """`%s`: texts bare, lists and maps in brackets, maps ordered by their keys' text. Stops at the room that is left."""

    def __init__(self, room: int) -> None:
        self._room = room

    def text(self, value: object) -> str:
        made = self._made(value)
        self._room -= len(made)
        if self._room < 0:
            raise Failed("the text is longer than 64 KiB")
        return made

    def _made(self, value: object) -> str:
        match value:
            case None:
                return "null"
            case bytes():
                return value.decode("utf-8", "replace")
            case CelType():
                return value.name
            case list() | tuple() | frozenset():
                return f"[{', '.join(self._each(sorted(value) if isinstance(value, frozenset) else value))}]"
            case dict() | Map():
                entries = sorted((self.text(key), each) for key, each in value.items())
                return "{" + ", ".join(f"{key}: {self.text(each)}" for key, each in entries) + "}"
        return a_string(to_string(value))

    def _each(self, values: Iterable[object]) -> list[str]:
        return [self.text(value) for value in values]
