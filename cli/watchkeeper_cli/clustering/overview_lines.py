"""The overview in lines: what is blind first, then what happened, then each part. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchkeeper_cli.output.looks import BLIND, BOLD, DIM, SEVERITIES
from watchkeeper_cli.output.text import plural, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchkeeper_cli.clustering.overview import Incidents, Line, Overview, Policies, Process
    from watchkeeper_cli.output.looks import Look

COLUMN = 13
FAILING_SHOWN = 10
UNKNOWN = "not known: see below"


def overview_lines(one: Overview, look: Look, moment: str) -> Iterator[str]:
    """`moment`: now, for people."""
    yield f"{look.paint('Watchkeeper', BOLD)} in {shown(one.context)}, {moment} UTC"
    yield ""
    yield from _blind(one, look)
    if one.paused:
        because = f": {one.paused.reason}" if one.paused.reason else ""
        yield look.paint(f"{'PAUSED':8} {shown(f'responses, by {one.paused.by} at {one.paused.at}{because}')}", BLIND)
        yield f"{'':9}{look.arrow} kubectl watchkeeper resume"
    yield ""
    yield _part("incidents", _incidents(one.incidents, look))
    yield _part("operator", _process(one.operator, look))
    yield _part("collector", _process(one.collector, look))
    yield from _parts("sensors", one.sensors, "none: no node is watched", look)
    yield from _parts("log sources", one.log_sources, "none: no audit log is judged", look)
    yield from _policies(one.policies, look)
    if one.unread or one.notes:
        yield ""
    for text in one.unread:
        yield look.paint(f"{'UNKNOWN':8} {shown(text)}", BLIND)
    for text in one.notes:
        yield f"{'note':8} {shown(text)}"


def _blind(one: Overview, look: Look) -> Iterator[str]:
    for blind in one.blind:
        yield f"{look.paint('BLIND   ', BLIND)} {look.paint(shown(blind.what), BOLD)}: {shown(blind.why)}"
        if blind.remedy:
            yield f"{'':9}{look.arrow} {shown(blind.remedy)}"
    if not one.blind and not one.unread:
        yield f"{'ok':8} nothing that policies ask for is blind"
    elif not one.blind:
        yield f"{'note':8} of what could be read nothing is blind"


def _part(name: str, text: str) -> str:
    return f"{name:{COLUMN}}{text}"


def _incidents(found: Incidents | None, look: Look) -> str:
    if found is None:
        return look.paint(UNKNOWN, BLIND)
    if not found.open:
        return "none open"
    counts = ", ".join(f"{count} {look.paint(severity, SEVERITIES[severity])}" for severity, count in found.open.items())
    newest = f"; the latest detection {found.newest} ago" if found.newest else ""
    unowned = f"; {look.paint(f'nobody has {found.unowned}', BOLD)}" if found.unowned else ""
    return f"{counts} open{unowned}{newest}   {look.paint(f'{look.arrow} kubectl watchkeeper incidents', DIM)}"


def _process(found: Process | None, look: Look) -> str:
    if found is None:
        return look.paint(UNKNOWN, BLIND)
    words = f"{found.ready} of {plural(found.wanted, 'replica')} ready{f'; {shown(found.says)}' if found.says else ''}" if found.wanted else shown(found.says)
    return words if found.ready >= found.wanted > 0 else look.paint(words, BLIND)


def _parts(name: str, found: tuple[Line, ...] | None, none: str, look: Look) -> Iterator[str]:
    if not found:
        yield _part(name, look.paint(UNKNOWN if found is None else none, BLIND))
        return
    for number, one in enumerate(found):
        text = f"{shown(one.name)}: {shown(one.says)}"
        yield _part("" if number else name, text if one.well else look.paint(text, BLIND))


def _policies(found: Policies | None, look: Look) -> Iterator[str]:
    if found is None:
        yield _part("policies", look.paint(UNKNOWN, BLIND))
        return
    disabled = f", {found.disabled} disabled" if found.disabled else ""
    yield _part("policies", f"{found.accepted} of {found.total} accepted, {found.in_force} in force{disabled}")
    for row in found.failing[:FAILING_SHOWN]:
        yield f"{'':{COLUMN}}{look.paint(shown(row.short), BOLD)}: {shown(row.why)}"
    if len(found.failing) > FAILING_SHOWN:
        yield f"{'':{COLUMN}}{plural(len(found.failing) - FAILING_SHOWN, 'policy', 'policies')} more   {look.arrow} kubectl watchkeeper policies --failing"
