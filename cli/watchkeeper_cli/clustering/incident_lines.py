"""One incident with everything: what, why together, why so grave, timeline, who and what it is about, what to do, what was not seen. No I/O."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING

from watchkeeper_cli.clustering.incident_rows import WORDS, is_open
from watchkeeper_cli.clustering.moments import ago
from watchkeeper_cli.clustering.shapes import condition
from watchkeeper_cli.output.looks import BLIND, BOLD, DIM, SEVERITIES
from watchkeeper_cli.output.text import clock, plural, shown
from watchkeeper_detection.attack import TECHNIQUES
from watchkeeper_detection.logs.provider import time_ns
from watchkeeper_operator.names import ROOT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchkeeper_cli.clustering.shapes import Entry, Incident, Times
    from watchkeeper_cli.output.looks import Look

COLUMN = 12
LONG = 4000  # characters of one text
WIDEST = 120
BLIND_SHOWN = 4  # the timeline has the others
ABOUT_SHOWN = 15
FRACTION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{1,9}Z")
HEADING = re.compile(r"(?:What|How) [a-z ]{2,16}: ")  # of a runbook: what stands below it was broken into lines for a file, not for this terminal
MOMENTS = (
    ("t0", "began", "the first malicious event"),
    ("t1", "recorded", "told by sensor or API server"),
    ("t2", "received", "with the collector"),
    ("t3", "detected", "the first detection"),
    ("t4", "acknowledged", "a person had it"),
    ("t5", "declared", "declared an incident"),
    ("t6", "contained", "an action against it was verified"),
    ("t7", "eradicated", "the cause was gone"),
    ("t8", "closed", "closed"),
)


def incident_lines(one: Incident, look: Look, *, now: int, columns: int) -> Iterator[str]:
    """`columns`: of the terminal."""
    width = min(columns, WIDEST)
    yield from _head(one, look, now, width)
    yield from _titled("why", [one.status.summary], look, width)
    if not one.status.title:
        yield look.paint("the operator has not written what it knows: it has just been made, or the operator is down", BLIND)
    yield from _blind(one, look, width)
    yield from _titled("timeline", [], look, width)
    yield from (line for entry in one.status.timeline for line in _entry(entry, look, width))
    if one.status.entries_left_out:
        yield look.paint(f"  {plural(one.status.entries_left_out, 'entry', 'entries')} more: in the operator's store", DIM)
    yield from _moments(one.status.times, look)
    yield from _entities(one, look)
    yield from _attack(one, look)
    yield from _titled("next steps", one.status.next_steps, look, width)
    yield from _more(one, look)


def full_name(one: Incident) -> str:
    """As commands take it: the root namespace goes without saying."""
    return one.metadata.name if one.metadata.namespace == ROOT_NAMESPACE else f"{one.metadata.namespace}/{one.metadata.name}"


def _head(one: Incident, look: Look, now: int, width: int) -> Iterator[str]:
    status, spec = one.status, one.spec
    severity = status.severity or "?"
    yield f"{look.paint(shown(severity, COLUMN), SEVERITIES.get(severity, BOLD))} {look.paint(shown(status.title or full_name(one)), BOLD)}"
    yield from _fact("incident", f"{full_name(one)}, {'open' if is_open(one) else 'closed'}", width)
    if status.last_detected_at:
        first, last = status.times.began, status.last_detected_at
        yield from _fact("when", f"{_clock(first)} UTC ({ago(first, now)} ago), the latest {_clock(last)} ({ago(last, now)} ago)", width)
    yield from _fact("detections", f"{status.detections}, confidence {status.confidence or '?'}", width)
    yield from _fact("policies", ", ".join(name.removeprefix(f"{ROOT_NAMESPACE}/") for name in status.policies) or "?", width)
    for line in _fact("owner", spec.owner or "nobody has it", width):
        yield line if spec.owner else look.paint(line, BOLD)
    if spec.disposition:
        yield from _fact("said to be", WORDS.get(spec.disposition, spec.disposition), width)
    if spec.note:
        yield from _fact("note", spec.note, width)
    if condition(status.conditions, "Contained").status == "True":
        yield from _fact("contained", condition(status.conditions, "Contained").message or "an action against it was verified", width)


def _fact(name: str, text: str, width: int) -> Iterator[str]:
    for number, line in enumerate(_wrapped(text, width - COLUMN - 2)):
        yield f"  {'' if number else name:{COLUMN}}{line}"


def _wrapped(text: str, width: int) -> list[str]:
    """Escaped; names with hyphens stay whole; times to the second."""
    return wrap(shown(FRACTION.sub(r"\1Z", text), LONG), max(24, width), break_on_hyphens=False) or [""]


def _titled(title: str, paragraphs: Iterable[str], look: Look, width: int) -> Iterator[str]:
    yield ""
    yield look.paint(title, BOLD)
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ""
        for part in flowing(paragraph):
            yield from (f"  {line}" for line in _wrapped(part, width - 2))


def flowing(paragraph: str) -> list[str]:
    """A runbook's parts, each on one line."""
    parts: list[str] = []
    for line in paragraph.splitlines():
        if parts and not HEADING.match(line):
            parts[-1] += f" {line}"
        else:
            parts.append(line)
    return parts


def _blind(one: Incident, look: Look, width: int) -> Iterator[str]:
    """Before the timeline: what is not in it may have happened all the same."""
    spots = one.status.blind_spots
    if not spots:
        return
    yield ""
    yield look.paint("BLIND meanwhile: that nothing was detected does not say that nothing happened", BLIND)
    for spot in spots[:BLIND_SHOWN]:
        yield from (f"  {look.paint(line, BLIND)}" for line in _wrapped(spot, width - 2))
    if len(spots) > BLIND_SHOWN:
        yield look.paint(f"  {len(spots) - BLIND_SHOWN} times more: in the timeline", BLIND)


def _entry(entry: Entry, look: Look, width: int) -> Iterator[str]:
    mark = entry.severity if entry.what == "detection" else entry.what
    code = BLIND if entry.what == "blind" else SEVERITIES.get(mark, DIM)
    head = f"  {_clock(entry.at)} {look.paint(f'{shown(mark, COLUMN):8}', code)} "
    times = f" ({look.times}{entry.count})" if entry.count > 1 else ""
    indent = 2 + 19 + 1 + 8 + 1
    lines = _wrapped(entry.message + times, width - indent)
    yield head + lines[0]
    yield from (f"{'':{indent}}{line}" for line in lines[1:])
    if entry.policy:
        yield look.paint(f"{'':{indent}}{shown(entry.policy.removeprefix(f'{ROOT_NAMESPACE}/'))}/{shown(entry.rule)}", DIM)


def _moments(times: Times, look: Look) -> Iterator[str]:
    """t0 … t8, and how long after t0 each was."""
    yield ""
    yield look.paint("moments", BOLD)
    began = time_ns(times.began)
    for name, field, words in MOMENTS:
        text: str = getattr(times, field)
        if text:
            after = "" if name == "t0" or not began else f"+{(time_ns(text) - began) / 10**9:.1f} s"
            yield f"  {name} {_clock(text)} {after:>12}  {words}"
        else:
            yield look.paint(f"  {name} {'not yet':19} {'':12}  {words}", DIM)


def _entities(one: Incident, look: Look) -> Iterator[str]:
    """Those that most detections name."""
    status = one.status
    yield ""
    yield look.paint("about", BOLD)
    for entity in sorted(status.entities, key=lambda entity: -entity.detections)[:ABOUT_SHOWN]:
        name = f"{entity.name} ({entity.id})" if entity.name else entity.id
        yield f"  {shown(entity.role, 20):{COLUMN}}{shown(entity.kind, 20):{COLUMN}}{shown(name, LONG)}  {look.times}{entity.detections}"
    if (more := len(status.entities) - ABOUT_SHOWN) > 0:
        yield look.paint(f"  {plural(more, 'thing')} more: -o yaml", DIM)
    if status.entities_left_out:
        yield look.paint(f"  {plural(status.entities_left_out, 'thing')} more: in the operator's store", DIM)


def _attack(one: Incident, look: Look) -> Iterator[str]:
    if one.status.attack:
        yield ""
        yield look.paint("ATT&CK", BOLD)
        for technique in one.status.attack:
            yield f"  {shown(technique, 20):{COLUMN}}{TECHNIQUES[technique].full_name if technique in TECHNIQUES else ''}".rstrip()


def _more(one: Incident, look: Look) -> Iterator[str]:
    name = full_name(one)
    yield ""
    for related in one.status.related:
        yield f"{look.arrow} kubectl watchkeeper incident show {shown(related)}   shares something with this one"
    if is_open(one):
        if not one.spec.owner:
            yield f"{look.arrow} kubectl watchkeeper incident take {shown(name)}   say that you have it"
        yield f"{look.arrow} kubectl watchkeeper incident disposition {shown(name)} --as true-positive|false-positive|benign --note WHY"


def _clock(moment: str) -> str:
    return clock(time_ns(moment))
