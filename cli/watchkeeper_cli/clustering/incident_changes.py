"""What is worth a line while somebody watches incidents. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_cli.clustering.incident_rows import state_words
from watchkeeper_cli.output.looks import BOLD, DIM, SEVERITIES
from watchkeeper_cli.output.text import clock, plural, shown

if TYPE_CHECKING:
    from watchkeeper_cli.clustering.incident_rows import IncidentRow
    from watchkeeper_cli.output.looks import Look

COLUMN = 8


def told(before: IncidentRow | None, after: IncidentRow | None) -> str | None:
    """`open`, `closed`, `graver`, `taken`, `judged`, `gone`; None where more detections or words make no other incident of it."""
    if after is None:
        return None if before is None else "gone"
    if before is None:
        return "open" if after.open else "closed"
    if not after.severity or (before.severity == after.severity and before.open == after.open and state_words(before) == state_words(after)):
        return None
    if before.open != after.open:
        return "open" if after.open else "closed"
    if after.severity != before.severity:
        return "graver" if not before.severity or after.severity < before.severity else "changed"
    return "judged" if before.disposition != after.disposition else "taken"


def change_line(word: str, row: IncidentRow, look: Look, now: int) -> str:
    """One line: when, what became of it, how grave, which, what, where and who."""
    severity = row.severity or "?"
    place = " ".join(filter(None, (f"in {row.where}" if row.where else "", f"by {row.who}" if row.who else "")))
    facts = "; ".join(filter(None, (place, plural(row.detections, "detection"), state_words(row))))
    head = f"{clock(now)} {word:{COLUMN}} {look.paint(severity, SEVERITIES.get(severity, ''))} {shown(row.short)}"
    return f"{head}  {look.paint(shown(row.title), BOLD)}  {look.paint(shown(facts), DIM)}"
