"""How text looks on the user's terminal: colours or none, and marks that it can show."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

SEVERITIES = {"P1": "1;37;41", "P2": "1;31", "P3": "33", "P4": "2"}
BLIND, DIM, BOLD = "1;35", "2", "1"
POOR_TERMINALS = ("", "dumb", "linux", "vt100", "vt220")  # whose fonts have few marks
ASCII_LOCALES = ("C", "POSIX")


@dataclass(frozen=True, slots=True)
class Look:
    """`bars`: eight heights of a bar, from none to full; `moves`: whether the cursor can be moved."""

    colours: bool
    moves: bool
    arrow: str = "→"
    branch: str = "└ "
    times: str = "×"
    rule: str = "─"
    dash: str = "–"
    bars: str = "▁▂▃▄▅▆▇█"

    def paint(self, text: str, code: str) -> str:
        """`text` (safe already) in a colour, where there are colours."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text


def look_of(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Look:
    """Colours need a terminal that has them and no NO_COLOR; marks beyond ASCII need an output in UTF-8 and a font for them."""
    terminal = environment.get("TERM", "")
    moves = stream.isatty() and terminal not in ("", "dumb")
    colours = moves and not environment.get("NO_COLOR")
    has_marks = (stream.encoding or "").lower().replace("-", "") == "utf8" and environment.get("LC_ALL") not in ASCII_LOCALES
    if has_marks and not (stream.isatty() and terminal in POOR_TERMINALS):
        return Look(colours, moves)
    return Look(colours, moves, arrow="->", branch="`- ", times="x", rule="-", dash="-", bars="_.:-=+*#")


def stdout_look() -> Look:
    """Of standard output, which from now on escapes what its encoding lacks."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    return look_of(sys.stdout)
