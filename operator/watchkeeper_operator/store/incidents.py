"""Detections and incidents in the store, as rows. What they mean is decided elsewhere. All functions belong into one transaction of `writing` or `reading`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from watchkeeper_operator.store.tables import ContextKeyRow, DetectionRow, IncidentKeyRow, IncidentRow, MomentRow
from watchkeeper_operator.store.upsert import add_rows, in_parts, put_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Row

Spans = dict[str, tuple[int, int]]  # key → first and last time


def known_detections(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Which of these are kept."""
    found: set[str] = set()
    for part in in_parts(ids):
        found.update(connection.execute(select(DetectionRow.id).where(DetectionRow.id.in_(part))).scalars())
    return found


def add_detections(connection: Connection, rows: Sequence[Mapping[str, Any]], context: Sequence[Mapping[str, Any]]) -> None:
    """Rows of detections, and what those have in common with others that make no incident."""
    add_rows(connection, DetectionRow, rows)
    add_rows(connection, ContextKeyRow, context)


def detections_of(connection: Connection, incident: str, *, most: int = 1000) -> list[bytes]:
    """Contents of an incident's detections, earliest first."""
    query = select(DetectionRow.content).where(DetectionRow.incident == incident).order_by(DetectionRow.observed_at, DetectionRow.id).limit(most)
    return list(connection.execute(query).scalars())


def incidents_near(connection: Connection, spans: Mapping[str, tuple[int, int]], window_ns: int) -> dict[str, Spans]:
    """Open incidents that what has these keys at these times could join, and all that those could join in turn: id → keys."""
    found: dict[str, Spans] = {}
    asked = dict(spans)
    while asked:
        names: set[str] = set()
        since, until = min(first for first, _ in asked.values()) - window_ns, max(last for _, last in asked.values()) + window_ns
        for part in in_parts(asked):
            query = (
                select(IncidentKeyRow.incident)
                .join(IncidentRow, IncidentRow.id == IncidentKeyRow.incident)
                .where(IncidentKeyRow.key.in_(part), IncidentKeyRow.last >= since, IncidentKeyRow.first <= until)
                .where(IncidentRow.closed_at == 0, IncidentRow.merged_into == "")
            )
            names.update(connection.execute(query).scalars())
        asked = {}
        for part in in_parts(names - found.keys()):
            for incident, key, first, last in connection.execute(
                select(IncidentKeyRow.incident, IncidentKeyRow.key, IncidentKeyRow.first, IncidentKeyRow.last).where(IncidentKeyRow.incident.in_(part))
            ):
                found.setdefault(incident, {})[key] = (first, last)
                before = asked.get(key, (first, last))
                asked[key] = (min(before[0], first), max(before[1], last))
    return found


def incident_rows(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Whole rows by id."""
    found: dict[str, Row[Any]] = {}
    for part in in_parts(ids):
        found.update((row.id, row) for row in connection.execute(select(IncidentRow.__table__).where(IncidentRow.id.in_(part))))
    return found


def count_opened(connection: Connection, rules: Iterable[str], *, since: int) -> dict[str, int]:
    """`namespace/policy/rule` → open incidents that it opened and that went on since a moment."""
    found: dict[str, int] = {}
    for part in in_parts(rules):
        query = select(IncidentRow.opened_by, func.count()).where(IncidentRow.opened_by.in_(part), IncidentRow.last_seen >= since)
        found.update(connection.execute(query.where(IncidentRow.merged_into == "", IncidentRow.closed_at == 0).group_by(IncidentRow.opened_by)).all())
    return found


def put_incidents(connection: Connection, rows: Sequence[Mapping[str, Any]], keys: Sequence[Mapping[str, Any]], moments: Sequence[Mapping[str, Any]]) -> None:
    """Rows as they are now; a moment that is set already stays."""
    put_rows(connection, IncidentRow, rows)
    put_rows(connection, IncidentKeyRow, keys)
    add_rows(connection, MomentRow, moments)


def merge_into(connection: Connection, gone: str, kept: str, *, now: int) -> None:
    """Give the detections and keys of one incident to another; the keys of the one that stays are put anew by `put_incidents`."""
    connection.execute(update(DetectionRow).where(DetectionRow.incident == gone).values(incident=kept))
    connection.execute(delete(IncidentKeyRow).where(IncidentKeyRow.incident == gone))
    connection.execute(update(IncidentRow).where(IncidentRow.id == gone).values(merged_into=kept, closed_at=now, changed_at=now))


def moments_of(connection: Connection, ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Incident → moment → time."""
    found: dict[str, dict[str, int]] = {}
    for part in in_parts(ids):
        for incident, moment, at in connection.execute(select(MomentRow.incident, MomentRow.moment, MomentRow.at).where(MomentRow.incident.in_(part))):
            found.setdefault(incident, {})[moment] = at
    return found


def context_of(connection: Connection, spans: Mapping[str, tuple[int, int]], window_ns: int, *, most: int) -> list[bytes]:
    """Contents of the latest detections that make no incident by themselves and share a key with this one at the time."""
    ids: set[str] = set()
    for part in in_parts(spans):
        since, until = min(spans[key][0] for key in part) - window_ns, max(spans[key][1] for key in part) + window_ns
        query = select(ContextKeyRow.detection).where(ContextKeyRow.key.in_(part), ContextKeyRow.observed_at.between(since, until))
        ids.update(connection.execute(query.order_by(ContextKeyRow.observed_at.desc()).limit(most)).scalars())
    rows = [
        row for part in in_parts(ids) for row in connection.execute(select(DetectionRow.observed_at, DetectionRow.content).where(DetectionRow.id.in_(part)))
    ]
    return [row.content for row in sorted(rows, key=lambda row: row.observed_at)[-most:]]
