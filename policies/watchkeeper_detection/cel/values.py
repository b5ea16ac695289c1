"""Values of CEL that Python has no type for, and the two ways of having no value: absent and failed.

string str · int int · uint UInt · double float · bool bool · bytes bytes · null None · list list (of a record), tuple
(computed) or frozenset (`lists.NAME`) · map dict (of a record: JSON) or Map (computed).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1
NANOSECONDS: Final = 1_000_000_000
TIMESTAMP_MIN: Final = -62_135_596_800 * NANOSECONDS  # 0001-01-01T00:00:00Z
TIMESTAMP_MAX: Final = 253_402_300_800 * NANOSECONDS - 1  # 9999-12-31T23:59:59.999999999Z
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DURATION_MAX: Final = 315_576_000_000 * NANOSECONDS  # google.protobuf.Duration: ±10,000 years


class Absent:
    """There is nothing to read: a field is missing or null. Not an error."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class Failure:
    """The evaluation failed: no such overload, overflow, a bound was reached. Rules count these as their own failures."""

    message: str


NO_VALUE: Final = frozenset({Absent, Failure})  # classes, to test `x.__class__ in NO_VALUE`


class Failed(Exception):  # noqa: N818 (it is caught at once and becomes a Failure)
    """Raised by a function of the language; the caller turns it into a Failure."""


class UInt(int):
    """An unsigned 64-bit integer; equal to an int of the same value, but arithmetic does not mix them."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """Nanoseconds since the epoch, UTC; as text RFC 3339, which `times.read_timestamp` reads again."""

    ns: int

    def __str__(self) -> str:
        whole = _EPOCH + timedelta(seconds=self.ns // NANOSECONDS)
        return whole.strftime(f"{whole.year:04d}-%m-%dT%H:%M:%S") + _fraction(self.ns % NANOSECONDS) + "Z"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """Nanoseconds; as text in seconds, `-1.5s`."""

    ns: int

    def __str__(self) -> str:
        sign, ns = ("-", -self.ns) if self.ns < 0 else ("", self.ns)
        return f"{sign}{ns // NANOSECONDS}{_fraction(ns % NANOSECONDS)}s"


def _fraction(ns: int) -> str:
    return f".{ns:09d}".rstrip("0") if ns else ""


@dataclass(frozen=True, slots=True)
class CelType:
    """A type as a value."""

    name: str


@dataclass(frozen=True, slots=True)
class IP:
    """An address; an IPv4-mapped IPv6 address is the IPv4 address."""

    version: int
    number: int


@dataclass(frozen=True, slots=True)
class CIDR:
    """A network as written: `number` keeps its host bits."""

    version: int
    number: int
    prefix: int


def map_key(key: object) -> object:
    """The dictionary key that stands for a CEL map key: `true` and `1` differ, `1`, `1u` and `1.0` don't. Raises Failed."""
    if key.__class__ is bool:
        return (key,)
    if isinstance(key, str | int):
        return key
    raise Failed("unsupported key type")


class Map:
    """A computed map: key → value, keys compared as CEL compares them."""

    __slots__ = ("_keys", "_values")

    def __init__(self) -> None:
        self._keys: dict[object, object] = {}
        self._values: dict[object, object] = {}

    def put(self, key: object, value: object) -> None:
        """Raises Failed on a repeated key or one of a type that can't be a key."""
        stand_in = map_key(key)
        if stand_in in self._keys:
            raise Failed("repeated key")
        self._keys[stand_in] = key
        self._values[stand_in] = value

    def get(self, key: object) -> object:
        """The value, or a Failure when there is no such key."""
        stand_in = (key,) if key.__class__ is bool else key
        if isinstance(stand_in, str | int | float | tuple) and stand_in in self._values:
            return self._values[stand_in]
        return Failure("no such key")

    def __contains__(self, key: object) -> bool:
        stand_in = (key,) if key.__class__ is bool else key
        return isinstance(stand_in, str | int | float | tuple) and stand_in in self._values

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[object]:
        return iter(self._keys.values())

    def items(self) -> Iterator[tuple[object, object]]:
        return zip(self._keys.values(), self._values.values(), strict=True)
