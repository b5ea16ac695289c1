"""Functions of strings. Positions count code points; what they make is at most 64 KiB."""

from __future__ import annotations

import base64
import binascii
import string
from typing import Any

from watchkeeper_detection.cel.values import Failed

MADE_AT_MOST = 64 * 1024
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
# White_Space of Unicode, which is not quite what Python strips
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_QUOTED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}


def short(text: str) -> str:
    if len(text) > MADE_AT_MOST:
        raise Failed("the text is longer than 64 KiB")
    return text


def a_string(value: Any) -> str:
    if value.__class__ is not str:
        raise Failed("no such overload")
    return value


def an_int(value: Any) -> int:
    if value.__class__ is not int:
        raise Failed("no such overload")
    return value


def _position(value: object, length: int) -> int:
    position = an_int(value)
    if not 0 <= position <= length:
        raise Failed(f"index out of range: {position}")
    return position


def starts_with(text: object, prefix: object) -> object:
    return a_string(text).startswith(a_string(prefix))


def ends_with(text: object, suffix: object) -> object:
    return a_string(text).endswith(a_string(suffix))


def contains(text: object, part: object) -> object:
    return a_string(part) in a_string(text)


def lower_ascii(text: object) -> str:
    text = a_string(text)
    return text.lower() if text.isascii() else text.translate(_LOWER)


def upper_ascii(text: object) -> str:
    text = a_string(text)
    return text.upper() if text.isascii() else text.translate(_UPPER)


def same_ignoring_case(left: object, right: object) -> object:
    return a_string(left).casefold() == a_string(right).casefold()


def in_ignoring_case(text: object, texts: object) -> object:
    folded = a_string(text).casefold()
    if not isinstance(texts, list | tuple | frozenset):
        raise Failed("no such overload")
    return any(each.__class__ is str and each.casefold() == folded for each in texts)


def under(path: object, folder: object) -> object:
    """Whether the path is the folder or below it."""
    top = a_string(folder).rstrip("/")
    return a_string(path) == top or a_string(path).startswith(top + "/")


def char_at(text: object, index: object) -> object:
    text = a_string(text)
    position = _position(index, len(text))
    return text[position : position + 1]


def index_of(text: object, part: object, start: object = 0) -> object:
    text, part = a_string(text), a_string(part)
    return text.find(part, _position(start, len(text)))


def last_index_of(text: object, part: object, start: object = None) -> object:
    text, part = a_string(text), a_string(part)
    return text.rfind(part) if start is None else text.rfind(part, 0, _position(start, len(text)) + len(part))


def replace(text: object, old: object, new: object, count: object = -1) -> object:
    text, old, new, limit = a_string(text), a_string(old), a_string(new), an_int(count)
    times = text.count(old) if limit < 0 else min(limit, text.count(old))
    if len(text) + times * (len(new) - len(old)) > MADE_AT_MOST:
        raise Failed("the text is longer than 64 KiB")
    return text.replace(old, new, times)


def split(text: object, separator: object, limit: object = -1) -> object:
    text, separator, most = a_string(text), a_string(separator), an_int(limit)
    if most == 0:
        return ()
    if len(text) > MADE_AT_MOST:
        raise Failed("the text is longer than 64 KiB")
    if separator == "":
        return tuple(text) if most < 0 or most >= len(text) else (*text[: most - 1], text[most - 1 :])
    return tuple(text.split(separator, most - 1 if most > 0 else -1))


def substring(text: object, start: object, end: object = None) -> object:
    text = a_string(text)
    first, last = _position(start, len(text)), len(text) if end is None else _position(end, len(text))
    if first > last:
        raise Failed(f"the substring would start at {first} and end at {last}")
    return text[first:last]


def trim(text: object) -> object:
    return a_string(text).strip(_SPACE)


def reverse(text: object) -> object:
    return a_string(text)[::-1]


def join(texts: object, separator: object = "") -> object:
    if not isinstance(texts, list | tuple | frozenset):
        raise Failed("no such overload")
    parts = [a_string(each) for each in (sorted(texts) if isinstance(texts, frozenset) else texts)]
    between = a_string(separator)
    if sum(map(len, parts)) + len(between) * len(parts) > MADE_AT_MOST:
        raise Failed("the text is longer than 64 KiB")
    return between.join(parts)


def quote(text: object) -> object:
    return short('"' + "".join(_QUOTED.get(letter, "\ufffd" if "\ud800" <= letter <= "\udfff" else letter) for letter in a_string(text)) + '"')


def to_bytes(value: object) -> object:
    if value.__class__ is bytes:
        return value
    return a_string(value).encode("utf-8", "replace")


def encode_base64(value: object) -> object:
    if not isinstance(value, bytes):
        raise Failed("no such overload")
    if len(value) > MADE_AT_MOST // 2:
        raise Failed("the text is longer than 64 KiB")
    return base64.b64encode(value).decode()


def decode_base64(text: object) -> object:
    """Padding may be missing; both alphabets are read."""
    body = a_string(text).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Failed("no base64") from None
