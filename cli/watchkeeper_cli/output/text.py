"""Text that is safe to show: what an attacker chose must not move the cursor, hide itself or reorder a line."""

from __future__ import annotations

from watchkeeper_detection.logs.provider import time_text


def shown(text: str, limit: int = 2000) -> str:
    """`text` on one line, with every character that does not print as itself (control, bidirectional, invisible, half of a
    surrogate pair) written as an escape; cut to `limit` characters.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in text)


def _escape(letter: str) -> str:
    code = ord(letter)
    if code < 0x100:
        return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def clock(observed_at: int) -> str:
    """A time for people: to the second, UTC."""
    text = time_text(observed_at)
    return "no time" if text is None else f"{text[:10]} {text[11:19]}"


def number(count: int) -> str:
    return f"{count:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """`3 events`, `1 event`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
