"""What every function and operator takes and gives, for the checker. One line each; a single capital letter is any one type.

A name that starts with a point is called on a value: `x.contains(y)`. `…` repeats the last argument.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from watchkeeper_detection.cel.types import Type, read_type

_TABLE = """
_==_(A, A): bool
_!=_(A, A): bool
_<_ _<=_ _>_ _>=_ (bool, bool): bool (int, int): bool (uint, uint): bool (double, double): bool (string, string): bool (bytes, bytes): bool \
 (timestamp, timestamp): bool (duration, duration): bool (int, uint): bool (int, double): bool (uint, int): bool (uint, double): bool (double, int): bool (double, uint): bool
_in_(A, list(A)): bool (A, map(A, B)): bool
_+_(int, int): int (uint, uint): uint (double, double): double (string, string): string (bytes, bytes): bytes (list(A), list(A)): list(A) \
 (timestamp, duration): timestamp (duration, timestamp): timestamp (duration, duration): duration
_-_(int, int): int (uint, uint): uint (double, double): double (timestamp, duration): timestamp (timestamp, timestamp): duration (duration, duration): duration
_*_ _/_ (int, int): int (uint, uint): uint (double, double): double
_%_(int, int): int (uint, uint): uint
-_(int): int (double): double
!_(bool): bool
_[_](list(A), int): A (map(A, B), A): B
size .size (string): int (bytes): int (list(A)): int (map(A, B)): int
bool(bool): bool (string): bool
int(int): int (uint): int (double): int (string): int (timestamp): int (duration): int
uint(uint): uint (int): uint (double): uint (string): uint
double(double): double (int): double (uint): double (string): double
string(string): string (bool): string (int): string (uint): string (double): string (bytes): string (timestamp): string (duration): string (net.IP): string (net.CIDR): string
bytes(bytes): bytes (string): bytes
timestamp(timestamp): timestamp (string): timestamp (int): timestamp
duration(duration): duration (string): duration (int): duration
type(A): type(A)
dyn(A): dyn
matches .matches (string, string): bool
.startsWith .endsWith .contains (string, string): bool
.getFullYear .getMonth .getDate .getDayOfMonth .getDayOfWeek .getDayOfYear (timestamp): int (timestamp, string): int
.getHours .getMinutes .getSeconds .getMilliseconds (timestamp): int (timestamp, string): int (duration): int

.charAt(string, int): string
.indexOf .lastIndexOf (string, string): int (string, string, int): int
.lowerAscii .upperAscii .trim .reverse (string): string
.replace(string, string, string): string (string, string, string, int): string
.split(string, string): list(string) (string, string, int): list(string)
.substring(string, int): string (string, int, int): string
.join(list(string)): string (list(string), string): string
.format(string, list(dyn)): string
strings.quote(string): string

base64.encode(bytes): string
base64.decode(string): bytes

ip(string): net.IP (net.IP): net.IP
isIP(string): bool
ip.isCanonical(string): bool
cidr(string): net.CIDR (net.CIDR): net.CIDR
isCIDR(string): bool
.family(net.IP): int
.isUnspecified .isLoopback .isGlobalUnicast .isLinkLocalMulticast .isLinkLocalUnicast (net.IP): bool
.containsIP(net.CIDR, net.IP): bool (net.CIDR, string): bool
.containsCIDR(net.CIDR, net.CIDR): bool (net.CIDR, string): bool
.ip(net.CIDR): net.IP
.masked(net.CIDR): net.CIDR
.prefixLength(net.CIDR): int

math.greatest math.least (int): int (uint): uint (double): double (int, int): int (uint, uint): uint (double, double): double \
 (list(int)): int (list(uint)): uint (list(double)): double (list(dyn)): dyn (dyn…): dyn
math.ceil math.floor math.round math.trunc math.sqrt (double): double
math.sqrt(int): double (uint): double
math.abs math.sign (int): int (uint): uint (double): double
math.isNaN math.isInf math.isFinite (double): bool
math.bitAnd math.bitOr math.bitXor (int, int): int (uint, uint): uint
math.bitNot(int): int (uint): uint
math.bitShiftLeft math.bitShiftRight (int, int): int (uint, int): uint

sets.contains sets.equivalent sets.intersects (list(A), list(A)): bool

inCidr(string, string): bool (string, list(string)): bool
isPublicIP(string): bool
glob(string, string): bool
under(string, string): bool
ieq(string, string): bool
iin(string, list(string)): bool
"""


@dataclass(frozen=True, slots=True)
class Overload:
    arguments: tuple[Type, ...]
    result: Type
    repeated: bool = False


@cache
def signatures() -> dict[str, tuple[Overload, ...]]:
    """Every function by name."""
    table: dict[str, tuple[Overload, ...]] = {}
    for line in _TABLE.splitlines():
        overloads = tuple(_overload(arguments, result) for arguments, result in re.findall(r"\(((?:[^()]|\([^()]*\))*)\): ([\w.]+(?:\([^()]*\))?)", line))
        for name in re.match(r"[^(]*", line).group().split():  # type: ignore[union-attr]
            table[name] = table.get(name, ()) + overloads
    return table


def _overload(arguments: str, result: str) -> Overload:
    kinds = read_type(f"f({arguments.rstrip('…')})").args
    return Overload(kinds, read_type(result), arguments.endswith("…"))


MACROS = ("all", "exists", "exists_one", "existsOne", "filter", "map", "transformList", "transformMap", "transformMapEntry")
OTHER_NAMES = ("has", "get", "cel.bind", "cel.block", "cel.index", "cel.iterVar")
