"""JSON as logs really hold it: what the format allows and a strict decoder refuses (lone surrogates, 1e999) is taken."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec


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
        return json.loads(text, parse_constant=_refuse)
    except UnicodeDecodeError as fault:
        raise NotJson(f"not UTF-8 at its byte {fault.start}") from fault
    except json.JSONDecodeError as fault:
        raise NotJson(f"not JSON: {fault.msg} at its character {fault.pos}") from fault
    except RecursionError as fault:
        raise NotJson("JSON nested too deeply") from fault
    except ValueError as fault:  # a number of thousands of digits
        raise NotJson(f"not JSON: {fault}") from fault


def _refuse(constant: str) -> NoReturn:
    raise NotJson(f"not JSON: {constant}")
