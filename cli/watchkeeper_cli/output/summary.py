"""What the run read and what it could not see: printed on stderr after the detections."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchkeeper_cli.output.text import number, plural, shown

if TYPE_CHECKING:
    from watchkeeper_cli.parts import Counts, Rejected, Unreadable

REASONS = 1000  # told apart; a reason may quote the record
OTHERS = "other reasons"
NUMBERS = re.compile(r"[0-9]+")
SHOWN = 8  # lines of each sort


@dataclass(slots=True)
class Tally:
    """Grows while batches come in."""

    files: int = 0
    events: int = 0
    outside: int = 0  # of the time that was asked for
    read_bytes: int = 0
    detections: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)  # by reason without its numbers: places in the record
    rejected_example: dict[str, Rejected] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    interrupted: bool = False

    def reject(self, rejected: Rejected) -> None:
        reason = NUMBERS.sub("", rejected.reason)
        if reason not in self.rejected and len(self.rejected) >= REASONS:
            reason = OTHERS
        self.rejected[reason] += 1
        self.rejected_example.setdefault(reason, rejected)


def print_summary(tally: Tally, counts: Counts, blind: list[str], notes: list[str], seconds: float) -> None:
    for line in summary_lines(tally, counts, blind, notes, seconds):
        print(line, file=sys.stderr)


def summary_lines(tally: Tally, counts: Counts, blind: list[str], notes: list[str], seconds: float) -> list[str]:
    """`blind` and `notes` are sentences: what could not be seen, and what the state had to give up."""
    rate = f", {number(round(tally.events / seconds))}/s" if seconds >= 0.05 else ""
    by_severity = ", ".join(f"{count} {severity}" for severity, count in sorted(tally.detections.items()))
    read = (
        f"{'Stopped early. ' if tally.interrupted else ''}{plural(tally.events, 'event')} in {plural(tally.files, 'file')} in {seconds:.1f} s{rate}; "
        f"{plural(sum(tally.detections.values()), 'detection')}{f' ({by_severity})' if by_severity else ''}."
    )
    lines = [read]
    if tally.events == tally.rejected.total() and not tally.interrupted:
        lines.append("nothing was judged: that there are no detections says nothing about these logs")
    if tally.outside:
        lines.append(f"not judged: {plural(tally.outside, 'event')} outside --since and --until")
    lines += [f"unreadable: {shown(one.path)}: {shown(one.reason)}" for one in tally.unreadable[:SHOWN]]
    lines += _more(len(tally.unreadable), "unreadable files")
    for reason, count in tally.rejected.most_common(SHOWN):
        example = tally.rejected_example[reason]
        lines.append(
            f"rejected: {plural(count, 'record')}: {shown(OTHERS if reason == OTHERS else example.reason, 200)} (first {shown(example.file)}:{example.line})"
        )
    lines += _more(len(tally.rejected), "reasons to reject")
    lines += _held("held back by exceptions", counts.held_by_exception)
    lines += _held("held back by the rules' own unless", counts.held)
    lines += [f"failed: {rule}: {shown(counts.failure_example.get(rule, ''), 300)}" for rule in sorted(counts.failures)[:SHOWN]]
    lines += [shown(note) for note in notes]
    lines += [f"blind: {shown(line)}" for line in blind[:SHOWN]]
    lines += _more(len(blind), "blind spots")
    return lines


def _held(title: str, held: dict[tuple[str, str], int]) -> list[str]:
    if not held:
        return []
    most = sorted(held.items(), key=lambda row: -row[1])
    names = ", ".join(f"{rule} by {guard} {number(count)}" for (rule, guard), count in most[:3])
    return [f"{title}: {number(sum(held.values()))} ({names}{', …' if len(most) > 3 else ''})"]


def _more(count: int, what: str) -> list[str]:
    return [f"… and {count - SHOWN} more {what}"] if count > SHOWN else []
