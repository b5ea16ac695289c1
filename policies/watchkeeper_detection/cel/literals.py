"""Literals: what the text of a number, string or bytes literal stands for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watchkeeper_detection.cel.errors import CelSyntaxError
from watchkeeper_detection.cel.values import INT_MAX, INT_MIN, UINT_MAX

if TYPE_CHECKING:
    from watchkeeper_detection.cel.tree import Scalar

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", "'": "'", '"': '"', "`": "`", "?": "?"}
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([\s\S]|$))")


def literal_value(terminal: str, text: str, line: int, column: int) -> tuple[Scalar, str]:
    """Value and type of a literal. Raises CelSyntaxError: out of range, or an escape that there is not."""
    try:
        match terminal:
            case "INT_LIT":
                return _integer(text, INT_MIN, INT_MAX), "int"
            case "UINT_LIT":
                return _integer(text[:-1], 0, UINT_MAX), "uint"
            case "FLOAT_LIT":
                return float(text), "double"
            case "BOOL_LIT":
                return text == "true", "bool"
            case "NULL_LIT":
                return None, "null_type"
            case "BYTES_LIT":
                return _bytes(text[1:]), "bytes"
        return _string(text), "string"
    except ValueError as error:
        raise CelSyntaxError(str(error), line, column) from None


def _integer(text: str, lowest: int, highest: int) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    if len(digits) > 40:
        raise ValueError("the number does not fit into 64 bits")
    value = sign * (int(digits, 0) if digits.startswith("0x") else int(digits))
    if not lowest <= value <= highest:
        raise ValueError("the number does not fit into 64 bits")
    return value


def _body(text: str) -> tuple[str, bool]:
    """What stands between the quotes, and whether it is raw."""
    raw = text[0] in "rR"
    text = text[1:] if raw else text
    quotes = 3 if text[:3] in ('"""', "'''") and len(text) >= 6 else 1
    return text[quotes:-quotes].replace("\r\n", "\n").replace("\r", "\n") if quotes == 3 else text[1:-1], raw


def _string(text: str) -> str:
    body, raw = _body(text)
    return body if raw else _ESCAPE.sub(_escaped_letter, body)


def _escaped_letter(found: re.Match[str]) -> str:
    simple, two, four, eight, octal, other = found.groups()
    if other is not None:
        raise ValueError(f"there is no escape \\{other}: write \\\\ for a backslash, or r'...' for text without escapes")
    if simple is not None:
        return _SIMPLE[simple]
    code = int(octal, 8) if octal is not None else int(two or four or eight, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"{found.group()} is not a code point")
    return chr(code)


def _bytes(text: str) -> bytes:
    body, raw = _body(text)
    if raw:
        return body.encode()
    made, end = bytearray(), 0
    for found in _ESCAPE.finditer(body):
        made += body[end : found.start()].encode()
        end = found.end()
        two, octal = found.group(2), found.group(5)
        if found.group(3) or found.group(4):
            raise ValueError("bytes have no \\u escapes")
        made += bytes([int(octal, 8) if octal else int(two, 16)]) if two or octal else _escaped_letter(found).encode()
    return bytes(made + body[end:].encode())
