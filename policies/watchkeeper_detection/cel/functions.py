"""What compiled conditions call to read records, and how a function meets arguments that are absent or failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.cel import strings, times
from watchkeeper_detection.cel.values import ABSENT, CIDR, IP, NO_VALUE, CelType, Duration, Failed, Failure, Map, Timestamp, UInt
from watchkeeper_detection.json_text import decode_field
from watchkeeper_detection.record_types import NO_RAW

if TYPE_CHECKING:
    from collections.abc import Callable


def opened(struct: Any, attribute: str) -> Any:
    """The decoded value of an open field, None when it is absent. It is decoded once and kept in the struct."""
    value = getattr(struct, attribute)
    if value.__class__ is not msgspec.Raw:
        return value
    if value is NO_RAW:
        return None
    try:
        decoded = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):  # a lone surrogate, 1e999: what JSON allows and msgspec does not; bytes that are not UTF-8
        decoded = decode_field(value)
    setattr(struct, attribute, decoded)
    return decoded


def below(value: Any, words: tuple[str | int, ...]) -> Any:
    """What stands at these keys and indices; absent when one is missing, null or not there to be gone into."""
    for word in words:
        if value.__class__ is dict:
            value = value.get(word)
        elif value.__class__ is list and word.__class__ is int and word < len(value):
            value = value[word]
        else:
            return ABSENT
    return ABSENT if value is None else value


def read_open(struct: Any, attribute: str, words: tuple[str | int, ...]) -> Any:
    """`below(opened(struct, attribute), words)` in one call."""
    value = getattr(struct, attribute)
    return below(opened(struct, attribute) if value.__class__ is msgspec.Raw else value, words)


def strict(function: Callable[..., object]) -> Callable[..., Any]:
    """The function for values as they come: absent and failed arguments are given back, failing gives a Failure."""

    def call(*arguments: object) -> object:
        for argument in arguments:
            if argument.__class__ in NO_VALUE:
                return argument
        try:
            return function(*arguments)
        except Failed as failed:
            return Failure(str(failed))

    return call


def select(value: Any, name: object) -> Any:
    """`value.name`, `value[name]`."""
    if value.__class__ is dict:
        found = value.get(name) if name.__class__ is str else None
        return ABSENT if found is None else found
    if isinstance(value, Map):
        return value.get(name)
    if isinstance(value, list | tuple | frozenset):
        return _element(tuple(sorted(value)) if isinstance(value, frozenset) else value, name)
    raise Failed("no such overload")


def _element(values: Any, index: Any) -> Any:
    if index.__class__ is bool or not isinstance(index, int | float) or index != int(index):
        raise Failed("an index is a whole number")
    if 0 <= index < len(values):
        found = values[int(index)]
        return ABSENT if found is None and values.__class__ is list else found
    if values.__class__ is list:
        return ABSENT
    raise Failed(f"index out of range: {index}")


def field_of(value: Any, name: str) -> Any:
    """`value.name`. What is no map has no such member: where one record holds an object, another may hold text (`"Principal": "*"`)."""
    if value.__class__ is dict:
        found = value.get(name)
        return ABSENT if found is None else found
    if isinstance(value, Map):
        return value.get(name)
    return value if value.__class__ is Failure else ABSENT


def has_field(value: Any, name: str) -> object:
    """`has(value.name)`; a value that isn't there has no fields."""
    if value is ABSENT:
        return False
    if value.__class__ is Failure:
        return value
    if value.__class__ is dict:
        return value.get(name) is not None
    if isinstance(value, Map):
        return name in value
    return False


def size(value: Any) -> object:
    if isinstance(value, str | bytes | list | tuple | frozenset | dict | Map):
        return len(value)
    raise Failed("no such overload")


_TYPE_OF: dict[type, str] = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    tuple: "list",
    frozenset: "list",
    dict: "map",
    Map: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    CelType: "type",
    IP: "net.IP",
    CIDR: "net.CIDR",
}


def type_of(value: object) -> object:
    return CelType(_TYPE_OF[value.__class__])


def field_timestamp(text: str | None) -> object:
    """Value of a field of type timestamp, which records hold as RFC 3339 text."""
    if text is None:
        return ABSENT
    try:
        return times.read_timestamp(text)
    except Failed as failed:
        return Failure(str(failed))


def field_duration(text: str | None) -> object:
    if text is None:
        return ABSENT
    try:
        return times.read_duration(text)
    except Failed as failed:
        return Failure(str(failed))


def field_uint(value: int | None) -> object:
    return ABSENT if value is None else UInt(value)


def field_bytes(text: str | None) -> object:
    """Records hold bytes as base64."""
    return ABSENT if text is None else strict(strings.decode_base64)(text)


_DEFAULTS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "uint": (UInt,),
    "double": (float, int),
    "bool": (bool,),
    "bytes": (bytes,),
    "list": (list, tuple, frozenset),
    "map": (dict, Map),
    "timestamp": (Timestamp,),
    "duration": (Duration,),
}


def default_of(kind: str) -> Callable[[Any, Any], Any]:
    """`get(value, default)` for a default of that CEL type: a value of another type is a Failure."""
    name = kind.partition("(")[0]
    classes = _DEFAULTS.get(name)

    def get(value: Any, default: Any) -> Any:
        if value is ABSENT:
            return default
        if classes is None or value.__class__ in classes or value.__class__ in NO_VALUE:
            return float(value) if name == "double" and value.__class__ is int else value
        return Failure(f"the field is {_TYPE_OF.get(value.__class__, 'something else')}, the default {name}")

    return get
