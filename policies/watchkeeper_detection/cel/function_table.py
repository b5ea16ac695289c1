"""Every function of the language by name. Arguments may be absent or failed; such a call gives that back."""

from __future__ import annotations

from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from watchkeeper_detection.cel import arithmetic, formatting, mathematics, network, patterns, strings, times
from watchkeeper_detection.cel.equality import equal, is_in, ordered
from watchkeeper_detection.cel.functions import select, size, strict, type_of
from watchkeeper_detection.cel.values import CIDR, IP, NANOSECONDS, Duration, Failed, Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable


def _timestamp(value: object) -> object:
    match value:
        case Timestamp():
            return value
        case str():
            return times.read_timestamp(value)
        case bool():
            raise Failed("no such overload")
        case int():
            return times.timestamp_of(value * NANOSECONDS)
    raise Failed("no such overload")


def _duration(value: object) -> object:
    match value:
        case Duration():
            return value
        case str():
            return times.read_duration(value)
        case bool():
            raise Failed("no such overload")
        case int():
            return times.duration_of(value * NANOSECONDS)
    raise Failed("no such overload")


def _on_calendar(part: Callable[[Any], int]) -> Callable[..., object]:
    def accessor(time: object, zone: object = "UTC") -> object:
        if not isinstance(time, Timestamp):
            raise Failed("no such overload")
        return part(times.calendar(time, strings.a_string(zone)))

    return accessor


def _on_clock(part: Callable[[Any], int], unit: int) -> Callable[..., object]:
    """Also of a duration: all of it, counted in the unit."""
    of_time = _on_calendar(part)

    def accessor(value: object, *zone: object) -> object:
        if isinstance(value, Duration) and not zone:
            return int(abs(value.ns) // unit) * (-1 if value.ns < 0 else 1)
        return of_time(value, *zone)

    return accessor


def _milliseconds(value: object, *zone: object) -> object:
    if isinstance(value, Duration) and not zone:
        return abs(value.ns) // 1_000_000 % 1000 * (-1 if value.ns < 0 else 1)
    if isinstance(value, Timestamp):
        return value.ns % NANOSECONDS // 1_000_000
    raise Failed("no such overload")


def _an_ip(value: object) -> IP:
    if isinstance(value, IP):
        return value
    return network.read_ip(strings.a_string(value))


def _a_cidr(value: object) -> CIDR:
    if isinstance(value, CIDR):
        return value
    return network.read_cidr(strings.a_string(value))


def _reads(read: Callable[[str], object]) -> Callable[[object], object]:
    def readable(text: object) -> object:
        text = strings.a_string(text)
        try:
            read(text)
        except Failed:
            return False
        return True

    return readable


def _in_cidr(text: object, networks: object) -> object:
    each = (networks,) if isinstance(networks, str) else networks
    if not isinstance(each, list | tuple | frozenset):
        raise Failed("no such overload")
    return network.Networks(strings.a_string(one) for one in each)(strings.a_string(text))


def _ip_predicate(predicate: Callable[[Any], bool]) -> Callable[[object], object]:
    def judge(ip: object) -> object:
        if not isinstance(ip, IP):
            raise Failed("no such overload")
        return predicate(network.address_object(ip))

    return judge


def _cidr_part(part: Callable[[CIDR], object]) -> Callable[[object], object]:
    def of(cidr: object) -> object:
        if not isinstance(cidr, CIDR):
            raise Failed("no such overload")
        return part(cidr)

    return of


def _family(ip: object) -> object:
    if not isinstance(ip, IP):
        raise Failed("no such overload")
    return ip.version


def _sets(relation: Callable[[list[Any], list[Any]], bool]) -> Callable[[object, object], object]:
    def judge(left: object, right: object) -> object:
        if not isinstance(left, list | tuple | frozenset) or not isinstance(right, list | tuple | frozenset):
            raise Failed("no such overload")
        if len(left) * len(right) > 100_000:
            raise Failed("the lists are too long to compare")
        return relation(list(left), list(right))

    return judge


def _holds_all(left: list[Any], right: list[Any]) -> bool:
    return all(is_in(each, left) for each in right)


_BY_NAME: dict[str, Callable[..., Any]] = {
    "_==_": equal,
    "_!=_": lambda left, right: not equal(left, right),
    "_<_": ordered(lt),
    "_<=_": ordered(le),
    "_>_": ordered(gt),
    "_>=_": ordered(ge),
    "_in_": is_in,
    "_+_": arithmetic.add,
    "_-_": arithmetic.subtract,
    "_*_": arithmetic.multiply,
    "_/_": arithmetic.divide,
    "_%_": arithmetic.remainder,
    "-_": arithmetic.negate,
    "_[_]": select,
    "size": size,
    ".size": size,
    "bool": arithmetic.to_bool,
    "int": arithmetic.to_int,
    "uint": arithmetic.to_uint,
    "double": arithmetic.to_double,
    "string": lambda value: strings.short(strings.a_string(formatting.to_string(value))),
    "bytes": strings.to_bytes,
    "timestamp": _timestamp,
    "duration": _duration,
    "type": type_of,
    "dyn": lambda value: value,
    "matches": lambda text, pattern: patterns.matcher(strings.a_string(pattern))(strings.a_string(text)),
    ".matches": lambda text, pattern: patterns.matcher(strings.a_string(pattern))(strings.a_string(text)),
    ".startsWith": strings.starts_with,
    ".endsWith": strings.ends_with,
    ".contains": strings.contains,
    ".getFullYear": _on_calendar(lambda day: int(day.year)),
    ".getMonth": _on_calendar(lambda day: int(day.month) - 1),
    ".getDate": _on_calendar(lambda day: int(day.day)),
    ".getDayOfMonth": _on_calendar(lambda day: int(day.day) - 1),
    ".getDayOfWeek": _on_calendar(lambda day: int(day.isoweekday()) % 7),
    ".getDayOfYear": _on_calendar(lambda day: int(day.timetuple().tm_yday) - 1),
    ".getHours": _on_clock(lambda day: int(day.hour), 3600 * NANOSECONDS),
    ".getMinutes": _on_clock(lambda day: int(day.minute), 60 * NANOSECONDS),
    ".getSeconds": _on_clock(lambda day: int(day.second), NANOSECONDS),
    ".getMilliseconds": _milliseconds,
    ".charAt": strings.char_at,
    ".indexOf": strings.index_of,
    ".lastIndexOf": strings.last_index_of,
    ".lowerAscii": strings.lower_ascii,
    ".upperAscii": strings.upper_ascii,
    ".trim": strings.trim,
    ".reverse": strings.reverse,
    ".replace": strings.replace,
    ".split": strings.split,
    ".substring": strings.substring,
    ".join": strings.join,
    ".format": formatting.format_text,
    "strings.quote": strings.quote,
    "base64.encode": strings.encode_base64,
    "base64.decode": strings.decode_base64,
    "ip": _an_ip,
    "isIP": _reads(network.read_ip),
    "ip.isCanonical": lambda text: network.ip_text(network.read_ip(strings.a_string(text))) == text,
    "cidr": _a_cidr,
    "isCIDR": _reads(network.read_cidr),
    ".family": _family,
    ".isUnspecified": _ip_predicate(lambda ip: ip.is_unspecified),
    ".isLoopback": _ip_predicate(lambda ip: ip.is_loopback),
    ".isGlobalUnicast": _ip_predicate(network.is_global_unicast),
    ".isLinkLocalMulticast": _ip_predicate(network.is_link_local_multicast),
    ".isLinkLocalUnicast": _ip_predicate(lambda ip: ip.is_link_local),
    ".containsIP": lambda cidr, ip: network.contains(_a_cidr(cidr), _an_ip(ip)),
    ".containsCIDR": lambda cidr, other: network.contains_network(_a_cidr(cidr), _a_cidr(other)),
    ".ip": _cidr_part(lambda cidr: IP(cidr.version, cidr.number)),
    ".masked": _cidr_part(lambda cidr: CIDR(cidr.version, network.bounds(cidr)[0], cidr.prefix)),
    ".prefixLength": _cidr_part(lambda cidr: cidr.prefix),
    "math.greatest": mathematics.greatest,
    "math.least": mathematics.least,
    "math.ceil": mathematics.ceil,
    "math.floor": mathematics.floor,
    "math.round": mathematics.half_away_from_zero,
    "math.trunc": mathematics.trunc,
    "math.sqrt": mathematics.square_root,
    "math.abs": mathematics.absolute,
    "math.sign": mathematics.sign,
    "math.isNaN": mathematics.is_nan,
    "math.isInf": mathematics.is_inf,
    "math.isFinite": mathematics.is_finite,
    "math.bitAnd": mathematics.bit_and,
    "math.bitOr": mathematics.bit_or,
    "math.bitXor": mathematics.bit_xor,
    "math.bitNot": mathematics.bit_not,
    "math.bitShiftLeft": mathematics.shift_left,
    "math.bitShiftRight": mathematics.shift_right,
    "sets.contains": _sets(_holds_all),
    "sets.equivalent": _sets(lambda left, right: _holds_all(left, right) and _holds_all(right, left)),
    "sets.intersects": _sets(lambda left, right: any(is_in(each, left) for each in right)),
    "inCidr": _in_cidr,
    "isPublicIP": lambda text: network.is_public(strings.a_string(text)),
    "glob": lambda text, pattern: patterns.glob_matcher(strings.a_string(pattern))(strings.a_string(text)),
    "under": strings.under,
    "ieq": strings.same_ignoring_case,
    "iin": strings.in_ignoring_case,
}
FUNCTIONS = {name: strict(function) for name, function in _BY_NAME.items()}
