"""The runs of `kubectl watchkeeper incidents`: once, and for as long as somebody watches."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_cli.clustering.door import Unread, during
from watchkeeper_cli.clustering.incident_changes import told
from watchkeeper_cli.clustering.incident_rows import HEADINGS, SHORT_HEADINGS, incident_rows, table_rows, terminal_rows
from watchkeeper_cli.clustering.shapes import Incident
from watchkeeper_cli.ending import UNREADABLE, CommandError
from watchkeeper_cli.output.columns import table, terminal_columns
from watchkeeper_cli.output.looks import stdout_look
from watchkeeper_cli.output.structured import print_structured
from watchkeeper_cli.output.text import shown
from watchkeeper_operator import kinds
from watchkeeper_operator.watches import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from watchkeeper_cli.clustering.door import Door
    from watchkeeper_cli.clustering.incident_rows import Asked, IncidentRow

TROUBLE_SECONDS = 5.0  # between two looks at whether the cluster is still heard


def list_incidents(kubeconfig: Path | None, context: str | None, namespace: str | None, asked: Asked, output: str) -> None:
    async def act(door: Door) -> tuple[list[Incident], str]:
        return await readable(door)

    found, note = during(kubeconfig, context, namespace, act)
    rows = incident_rows(found, asked)
    if note:
        print(f"watchkeeper: {shown(note)}", file=sys.stderr)
    if output != "text":
        print_structured(rows, output)
    elif rows:
        _print(rows)
    else:
        print(nothing(found, asked))


async def readable(door: Door) -> tuple[list[Incident], str]:
    """Incidents that the user may read, and what was left out. Ends the command where there are none of these."""
    found, note = await door.allowed_of(kinds.INCIDENTS, Incident)
    if isinstance(found, Unread):
        raise CommandError(f"{found.why} (context {door.place.name}); docs/kubectl.md says what this takes", UNREADABLE)
    return found, note


def nothing(found: list[Incident], asked: Asked) -> str:
    """For people: that there is none is told apart from none being asked for."""
    words = "open" if asked.open and not asked.closed else "closed" if asked.closed and not asked.open else ""
    least = f" of {asked.severity} or graver" if asked.severity != "P4" else ""
    others = f"; {len(found)} in all, --all shows them" if found else ""
    return f"No {words} incidents{least}{others}.".replace("  ", " ")


def _print(rows: list[IncidentRow]) -> None:
    columns, now = terminal_columns(), time.time_ns()
    lines = (
        table(HEADINGS, table_rows(rows, now), stdout_look(), None)
        if columns is None
        else table(SHORT_HEADINGS, terminal_rows(rows, now), stdout_look(), columns)
    )
    for line in lines:
        print(line)


def follow_incidents(kubeconfig: Path | None, context: str | None, namespace: str | None, asked: Asked, output: str) -> None:
    """Until Ctrl-C."""

    async def act(door: Door) -> None:
        _, note = await readable(door)
        if note:
            print(f"watchkeeper: {shown(note)}", file=sys.stderr)
        await _follow(door, door.place.namespace if note else namespace, asked, output)

    during(kubeconfig, context, namespace, act)


async def _follow(door: Door, namespace: str | None, asked: Asked, output: str) -> None:
    watch = Watch(door.cluster, kinds.INCIDENTS, Incident, namespace=namespace)
    complaining = asyncio.ensure_future(_complain(watch))
    known: dict[str, IncidentRow] = {}
    try:
        async for change in watch:
            if change.object is None:
                continue
            rows = incident_rows([change.object], asked)
            before = known.pop(change.uid, None)
            after = rows[0] if rows and change.kind != "deleted" else None
            if after is not None:
                known[change.uid] = after
            if (word := told(before, after)) is not None:
                _tell(word, after or before, output)
    finally:
        complaining.cancel()


def _tell(word: str, row: IncidentRow | None, output: str) -> None:
    if row is None:
        return
    if output == "json":
        print(msgspec.json.encode({"change": word, **msgspec.to_builtins(row)}).decode(), flush=True)
        return
    from watchkeeper_cli.clustering.incident_changes import change_line

    print(change_line(word, row, stdout_look(), time.time_ns()), flush=True)


async def _complain(watch: Watch[Incident]) -> None:
    """That nothing comes is said when it is because the cluster is not heard."""
    said = ""
    while True:
        await asyncio.sleep(TROUBLE_SECONDS)
        trouble = "" if watch.failure is None else str(watch.failure)
        if trouble != said:
            print(f"watchkeeper: {f'waiting for the cluster: {shown(trouble)}' if trouble else 'the cluster is heard again'}", file=sys.stderr, flush=True)
        said = trouble
