"""When this host was not watched, or not whole, in words: a time without detections is then not a quiet one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from watchkeeper_cli.output.text import clock, plural, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchkeeper_detection.wire import Blind

ADJACENT_NS = 2_000_000_000  # intervals of one cause that are no further apart are told as one
MOST = 20  # lines
KINDS_NAMED = 3
NOBODY = {"killed": "the sensor was killed", "stopped": "the sensor was not running", "frozen": "the sensor was stopped or starved"}


def blind_lines(intervals: Iterable[Blind]) -> list[str]:
    """A line for each interval, the latest MOST of them; `intervals` by their begin."""
    told: list[tuple[str, int, int, Counter[str], Counter[str]]] = []
    latest: dict[str, int] = {}  # cause → place in `told`
    for one in intervals:
        place = latest.get(one.cause)
        if place is not None and one.since - told[place][2] <= ADJACENT_NS and one.cause not in NOBODY:
            cause, since, until, records, entries = told[place]
            told[place] = (cause, since, max(until, one.until), records + Counter(one.records), entries + Counter(one.entries))
            continue
        latest[one.cause] = len(told)
        told.append((one.cause, one.since, one.until, Counter(one.records), Counter(one.entries)))
    lines = [f"blind {clock(since)} to {clock(until)}: {_what(cause, records, entries)}" for cause, since, until, records, entries in told[-MOST:]]
    return [f"blind at {plural(len(told) - MOST, 'earlier time')} besides", *lines] if len(told) > MOST else lines


def _what(cause: str, records: Counter[str], entries: Counter[str]) -> str:
    if cause in NOBODY:
        return NOBODY[cause]
    parts = []
    if records:
        parts.append(f"{plural(records.total(), 'record')} lost ({', '.join(f'{kind} {count}' for kind, count in records.most_common(KINDS_NAMED))})")
    if entries:
        parts.append(f"found and not kept: {', '.join(plural(count, kind, 'losses' if kind == 'loss' else None) for kind, count in entries.items())}")
    if cause == "detached":
        parts.append("programs of the sensor were not in force")
    return shown(f"{'; '.join(parts) or 'something was lost'}: {cause.replace('_', ' ')}")
