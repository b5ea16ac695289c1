"""Detections for people: equal ones in one row with a count, the worst first."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchkeeper_cli.output.detection_lines import ID_SHOWN
from watchkeeper_cli.output.text import clock, number, plural, shown

if TYPE_CHECKING:
    from watchkeeper_detection.detection import Detection, Place, Severity

GROUPS = 20_000  # past that, detections of new groups are counted by severity only
HOST = "kernel"  # in place of a file, for what the sensor saw
NARROW = 110  # columns of a terminal in which dates and times stand below each other
ROWS = 200  # printed; the rest is summed up
STYLES = {"P1": "bold white on red", "P2": "bold red", "P3": "yellow", "P4": "dim"}


@dataclass(slots=True)
class Group:
    """Detections of one rule and severity by one actor."""

    severity: Severity
    policy: str
    rule: str
    title: str
    who: str
    attack: tuple[str, ...]
    message: str
    place: Place
    first: int
    first_id: str
    last: int
    count: int = 0


class Table:
    """Collects detections, then prints them."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, str, str], Group] = {}
        self.uncounted: dict[str, int] = {}

    def add(self, detection: Detection) -> None:
        who = detection.identity or detection.actor or "?"
        key = (detection.policy, detection.rule, detection.severity, who)
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= GROUPS:
                self.uncounted[detection.severity] = self.uncounted.get(detection.severity, 0) + 1
                return
            group = self._groups[key] = Group(
                severity=detection.severity,
                policy=detection.policy,
                rule=detection.rule,
                title=detection.title,
                who=who,
                attack=detection.attack,
                message=detection.message,
                place=detection.places[-1],
                first=detection.observed_at,
                first_id=detection.id,
                last=detection.observed_at,
            )
        elif (detection.observed_at, detection.id) < (group.first, group.first_id):
            group.message, group.place, group.first_id = detection.message, detection.places[-1], detection.id
        group.count += 1
        group.first = min(group.first, detection.observed_at)
        group.last = max(group.last, detection.observed_at)

    def rows(self) -> list[Group]:
        return sorted(self._groups.values(), key=lambda group: (group.severity, -group.count, group.first, group.policy, group.rule, group.who))

    def flush(self) -> None:
        """Nothing: rows grow until the end."""

    def finish(self) -> None:
        rows = self.rows()
        if not rows:
            print("No detections.")
            return
        if sys.stdout.isatty():
            _print_rich(rows[:ROWS])
        else:
            _print_plain(rows[:ROWS])
        left_over = len(rows) - ROWS
        if left_over > 0:
            print(
                f"… and {plural(left_over, 'more row')} with {plural(sum(group.count for group in rows[ROWS:]), 'detection')}; --severity and --output json show them."
            )
        for severity, count in sorted(self.uncounted.items()):
            print(f"… and {plural(count, severity + ' detection')} of further actors, not grouped.")


def period(group: Group) -> str:
    """First and last time, as short as they can be told apart."""
    first, last = clock(group.first), clock(group.last)
    if first == last:
        return first
    return f"{first} – {last[11:] if first[:10] == last[:10] else last}"


def place_of(group: Group) -> str:
    """Where to look: a line of the log, or the first detection of a host, which has no log."""
    if group.place.stream == HOST:
        return f"show {group.first_id[:ID_SHOWN]}"
    return f"{shown(group.place.stream, 200)}:{group.place.number}"


def _print_plain(rows: list[Group]) -> None:
    """Columns aligned by spaces, one line per group: for grep, awk and mail. The message and the place come last, as long as they are."""
    cells = [(group.severity, f"×{number(group.count)}", period(group), f"{group.policy}/{group.rule}", shown(group.who, 120)) for group in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for group, row in zip(rows, cells, strict=True):
        columns = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join([*columns, shown(group.message), f"({place_of(group)})"]))


def _print_rich(rows: list[Group]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    narrow = console.width < NARROW
    table = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, expand=True)
    table.add_column("", no_wrap=True)
    table.add_column("×", justify="right", no_wrap=True)
    table.add_column("what happened", ratio=3, overflow="fold")
    table.add_column("who", ratio=1, overflow="fold")
    table.add_column("when", width=10 if narrow else 19)
    for group in rows:
        what = Text()
        what.append(shown(group.title), style="bold")
        what.append(f"\n{shown(group.message)}\n")
        what.append(f"{place_of(group)}\n{group.policy}/{group.rule}  {' '.join(group.attack)}", style="dim")
        table.add_row(
            Text(group.severity, style=STYLES[group.severity]),
            Text(number(group.count)),
            what,
            Text(shown(group.who)),
            Text(period(group)),
            end_section=True,
        )
    console.print(table)
