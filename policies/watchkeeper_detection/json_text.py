"""JSON as logs really hold it: what the format allows and a strict decoder refuses (lone surrogates, 1e999) is taken."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

LONGEST_INTEGER = 4000  # digits; Python refuses to convert more than 4,300


class NotJson(ValueError):  # noqa: N818 (the bytes are not JSON; nothing is wrong with us)
    """Bytes that are no JSON value; the message says why, for users."""


def decode_json(data: bytes | memoryview | str) -> Any:
    """The one JSON value in `data`; raises NotJson. A number past a double's range becomes infinite."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _decode_slowly(data)


def _decode_slowly(data: bytes | memoryview | str) -> Any:
    try:
        text = data if isinstance(data, str) else bytes(data).decode("utf-8")
        return json.loads(text, parse_constant=_refuse, parse_int=_integer)
    except UnicodeDecodeError as fault:
        raise NotJson(f"not UTF-8 at its byte {fault.start}") from fault
    except json.JSONDecodeError as fault:
        raise NotJson(f"not JSON: {fault.msg} at its character {fault.pos}") from fault
    except RecursionError as fault:
        raise NotJson("JSON nested too deeply") from fault


def unfolded(value: Any) -> Any:
    """The object or list that `value` is the JSON text of; any other value as it is. Exports of tables hold objects as text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return decode_json(value)
        except NotJson:
            return value
    return value


def decode_field(data: bytes | memoryview) -> Any:
    """The value of a field that a typed decoder passed over unread: bytes that are not UTF-8 are replaced. None when it is nested too deeply."""
    try:
        return _decode_slowly(bytes(data).decode("utf-8", "replace"))
    except NotJson:
        return None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_INTEGER else float(digits)


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"not JSON: {constant}")
