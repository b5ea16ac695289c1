"""One thing that `doctor` looked at, on this host or in a cluster, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from watchkeeper_cli.output.looks import BLIND
from watchkeeper_cli.output.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_cli.output.looks import Look

State = Literal["ok", "note", "blind", "missing"]
MARKS = {"ok": "ok", "note": "note", "blind": "BLIND", "missing": "MISSING"}
COLOURS = {"note": "33", "blind": BLIND, "missing": BLIND}
COLUMN = 21  # of what is said


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    state    `ok`, `note` (worth knowing), `blind` (something can't be seen), `missing` (nothing can run without it)
    remedy   what to do; empty where nothing is to be done
    """

    about: str
    state: State
    says: str
    remedy: str = ""


def marked(state: str, look: Look) -> str:
    """The word that a line begins with."""
    code = COLOURS.get(state)
    word = f"{MARKS[state]:8}"
    return look.paint(word, code) if code else word


def finding_lines(finding: Finding, look: Look) -> Iterator[str]:
    yield f"{marked(finding.state, look)} {finding.about:11} {shown(finding.says)}"
    if finding.remedy:
        yield f"{'':{COLUMN}}{look.arrow} {shown(finding.remedy)}"
