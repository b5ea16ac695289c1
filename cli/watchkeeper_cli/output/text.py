"""Text that is safe to show: what an attacker chose must not move the cursor, hide itself or reorder a line."""

from __future__ import annotations

import re

from watchkeeper_detection.logs.provider import time_text

INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0").union(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""Letters and marks that Unicode calls printable and that show as nothing: fillers, joiners, variation selectors."""
STACKED = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4,}")
MARKS = 3


def shown(text: str, limit: int = 2000) -> str:
    """`text` on one line, with every character that does not print as itself (control, bidirectional, invisible, half of a
    surrogate pair) written as an escape; cut to `limit` characters.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return STACKED.sub(_few_marks, "".join(letter if letter.isprintable() and letter not in INVISIBLE else _escape(letter) for letter in text))


def _few_marks(stacked: re.Match[str]) -> str:
    """Marks that stand on one letter: as many as a language writes; a tower of them covers the lines above and below."""
    marks = stacked[0]
    return marks[:MARKS] + "".join(map(_escape, marks[MARKS:]))


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
