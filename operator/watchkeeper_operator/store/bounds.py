"""How much the store keeps: the oldest goes first, and what went is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import delete, func, select

from watchkeeper_operator.store.progress import count_dropped
from watchkeeper_operator.store.tables import BlindRow, ContextKeyRow, DetectionRow, DispositionRow, IncidentKeyRow, IncidentRow, MomentRow

if TYPE_CHECKING:
    from sqlalchemy import Connection, CursorResult

DAY_NS = 24 * 3600 * 1_000_000_000
SAMPLE = 1_000  # rows at either end, by which the size of all is known: a database does not say, for what it gave free it keeps
ROW_BYTES = 400  # of a detection beside its content: other columns, indexes


@dataclass(frozen=True, slots=True)
class Limits:
    """Of detections how many, how old and how many bytes; of incidents, which are small, how old those in the archive may be."""

    detections: int = 1_000_000
    detections_age_ns: int = 90 * DAY_NS
    incidents_age_ns: int = 400 * DAY_NS
    blind_age_ns: int = 90 * DAY_NS
    bytes: int = 4 * 1024 * 1024 * 1024
    at_once: int = 5_000  # rows of one transaction


def detection_bytes(connection: Connection) -> int:
    """What detections take up, about."""
    count = int(connection.execute(select(func.count()).select_from(DetectionRow)).scalar_one())
    sizes: list[int] = []
    for end in (DetectionRow.observed_at, DetectionRow.observed_at.desc()):
        sizes += connection.execute(select(func.length(DetectionRow.content)).order_by(end).limit(SAMPLE)).scalars()
    return count * (ROW_BYTES + sum(sizes) // len(sizes)) if sizes else 0


def trim(connection: Connection, limits: Limits, *, now: int) -> int:
    """Forget some of what is beyond the limits; returns how many rows, so that 0 means that nothing is left to forget."""
    count = int(connection.execute(select(func.count()).select_from(DetectionRow)).scalar_one())
    crowded = count - limits.detections
    if detection_bytes(connection) > limits.bytes:
        crowded = max(crowded, min(count, limits.at_once))
    gone = _forget_detections(connection, DetectionRow.observed_at < now - limits.detections_age_ns, limits.at_once, "age", now)
    if crowded > 0:
        gone += _forget_detections(connection, DetectionRow.observed_at <= now + limits.detections_age_ns, min(crowded, limits.at_once), "room", now)
    blind = _deleted(connection, delete(BlindRow).where(BlindRow.until < now - limits.blind_age_ns))
    count_dropped(connection, "blind", "age", blind, since=now, until=now)
    return gone + blind + _forget_incidents(connection, limits, now)


def _forget_detections(connection: Connection, where: object, most: int, reason: str, now: int) -> int:
    query = select(DetectionRow.id, DetectionRow.observed_at).where(where).order_by(DetectionRow.observed_at).limit(most)  # type: ignore[arg-type]
    rows = connection.execute(query).all()
    if not rows:
        return 0
    oldest = rows[-1].observed_at
    for start in range(0, len(rows), 500):
        connection.execute(delete(DetectionRow).where(DetectionRow.id.in_([row.id for row in rows[start : start + 500]])))
    connection.execute(delete(ContextKeyRow).where(ContextKeyRow.observed_at < oldest))
    count_dropped(connection, "detection", reason, len(rows), since=rows[0].observed_at, until=min(oldest, now))
    return len(rows)


def _forget_incidents(connection: Connection, limits: Limits, now: int) -> int:
    """Of those that are no objects any more."""
    where = (IncidentRow.archived_at > 0, IncidentRow.last_seen < now - limits.incidents_age_ns)
    names = list(connection.execute(select(IncidentRow.id).where(*where).limit(500)).scalars())
    if names:
        for table in (IncidentKeyRow, MomentRow, DispositionRow):
            connection.execute(delete(table).where(table.incident.in_(names)))
        connection.execute(delete(IncidentRow).where(IncidentRow.id.in_(names)))
        count_dropped(connection, "incident", "age", len(names), since=now, until=now)
    return len(names)


def _deleted(connection: Connection, statement: object) -> int:
    return cast("CursorResult[None]", connection.execute(statement)).rowcount  # type: ignore[call-overload]
