"""Incidents as objects of the cluster: which are to be written, what people said of them, which go to the archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, func, select, update

from watchkeeper_operator.store.tables import DispositionRow, IncidentKeyRow, IncidentRow, MomentRow
from watchkeeper_operator.store.upsert import add_rows, in_parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Row

MARGIN_NS = 5 * 60_000_000_000  # before and after an incident, in which a blind interval may have hidden a part of it


class Due(NamedTuple):
    """An object that does not show what the store knows. `is_new`: it was never written."""

    id: str
    scope: str
    changed_at: int
    is_new: bool


class Saying(NamedTuple):
    """What people have said in an object's spec."""

    disposition: str = ""
    owner: str = ""
    is_closed: bool = False


def due_objects(connection: Connection, *, most: int, but: Collection[str] = ()) -> list[Due]:
    """New ones first, then the gravest, then those that changed first: what goes on for long keeps none from being shown."""
    where = (IncidentRow.archived_at == 0, IncidentRow.written_at < IncidentRow.changed_at)
    query = select(IncidentRow.id, IncidentRow.scope, IncidentRow.changed_at, IncidentRow.written_at).where(*where)
    rows = connection.execute(query.order_by(IncidentRow.written_at > 0, IncidentRow.severity, IncidentRow.changed_at, IncidentRow.id).limit(most + len(but)))
    return [Due(name, scope, changed_at, written_at == 0) for name, scope, changed_at, written_at in rows if name not in but][:most]


def incident(connection: Connection, name: str) -> Row[Any] | None:
    return connection.execute(select(IncidentRow.__table__).where(IncidentRow.id == name)).one_or_none()


def keys_of(connection: Connection, name: str) -> dict[str, tuple[int, int]]:
    rows = connection.execute(select(IncidentKeyRow.key, IncidentKeyRow.first, IncidentKeyRow.last).where(IncidentKeyRow.incident == name))
    return {key: (first, last) for key, first, last in rows}


def sayings_of(connection: Connection, name: str) -> list[tuple[int, str, str]]:
    """Time, disposition and owner of each thing that people said, in order."""
    query = select(DispositionRow.at, DispositionRow.disposition, DispositionRow.owner).where(DispositionRow.incident == name).order_by(DispositionRow.at)
    return [(at, disposition, owner) for at, disposition, owner in connection.execute(query)]


def related_to(connection: Connection, name: str, keys: Iterable[str], *, since: int, most: int) -> list[str]:
    """`namespace/name` of others that share a key, the latest first; merged ones are the one that took them in."""
    columns = (IncidentRow.scope, IncidentRow.id, func.max(IncidentRow.last_seen))
    query = select(*columns).join(IncidentKeyRow, IncidentKeyRow.incident == IncidentRow.id)
    query = query.where(IncidentKeyRow.key.in_(list(keys)[:900]), IncidentRow.id != name, IncidentRow.last_seen >= since, IncidentRow.merged_into == "")
    rows = connection.execute(query.group_by(IncidentRow.scope, IncidentRow.id).order_by(func.max(IncidentRow.last_seen).desc(), IncidentRow.id).limit(most))
    return [f"{scope}/{other}" for scope, other, _ in rows]


def mark_written(connection: Connection, due: Due, *, now: int) -> None:
    """Its object shows what the store knew when it changed last; the first time, it is declared."""
    connection.execute(update(IncidentRow).where(IncidentRow.id == due.id).values(written_at=due.changed_at))
    add_rows(connection, MomentRow, [{"incident": due.id, "moment": "t5", "at": now}])


def mark_gone(connection: Connection, name: str) -> None:
    """Its object is not there any more: it is written anew unless it is in the archive."""
    connection.execute(update(IncidentRow).where(IncidentRow.id == name).values(written_at=0))


def mark_missing(connection: Connection, there: Collection[tuple[str, str]]) -> None:
    """Objects that were written and are not `there` (namespace and name of all): deleted while nobody looked, or of another cluster."""
    written = connection.execute(select(IncidentRow.scope, IncidentRow.id).where(IncidentRow.archived_at == 0, IncidentRow.written_at > 0))
    for part in in_parts([name for scope, name in written if (scope, name) not in there]):
        connection.execute(update(IncidentRow).where(IncidentRow.id.in_(part)).values(written_at=0))


def is_news(connection: Connection, scope: str, name: str, saying: Saying) -> bool:
    """Whether people say something else of a known incident than they did, in its own namespace."""
    row = incident(connection, name)
    return not (
        row is None or row.scope != scope or ((row.disposition, row.owner) == saying[:2] and (row.merged_into or bool(row.closed_at) == saying.is_closed))
    )


def say(connection: Connection, name: str, saying: Saying, *, now: int) -> None:
    """Keep what people say of an incident now."""
    row = incident(connection, name)
    if row is None:
        return
    closed_at = (row.closed_at or now) if saying.is_closed or row.merged_into else 0
    values = {"disposition": saying.disposition, "owner": saying.owner, "closed_at": closed_at, "changed_at": max(now, row.changed_at + 1)}
    connection.execute(update(IncidentRow).where(IncidentRow.id == name).values(**values))
    if (row.disposition, row.owner) != saying[:2]:
        add_rows(connection, DispositionRow, [{"incident": name, "at": now, "disposition": saying.disposition, "owner": saying.owner}])
    moments = [("t4", bool(saying.owner or saying.disposition)), ("t8", bool(closed_at))]
    add_rows(connection, MomentRow, [{"incident": name, "moment": moment, "at": now} for moment, is_so in moments if is_so])
    if not closed_at:  # opened again: it ends another time
        connection.execute(delete(MomentRow).where(MomentRow.incident == name, MomentRow.moment == "t8"))


def touch_overlapping(connection: Connection, since: int, until: int, *, now: int) -> None:
    """Somebody was blind then: incidents of that time are to say so."""
    overlaps = (IncidentRow.last_seen >= since - MARGIN_NS, IncidentRow.first_seen <= until + MARGIN_NS)
    connection.execute(update(IncidentRow).where(IncidentRow.archived_at == 0, *overlaps, IncidentRow.changed_at < now).values(changed_at=now))


def touch_sharing(connection: Connection, moments: Mapping[str, Collection[int]], near_ns: int, *, now: int) -> None:
    """Incidents with one of these keys about the times of a key are to show what has come beside them."""
    names: set[str] = set()
    for part in in_parts(moments):
        query = select(IncidentKeyRow.incident, IncidentKeyRow.key, IncidentKeyRow.first, IncidentKeyRow.last).where(IncidentKeyRow.key.in_(part))
        rows = connection.execute(query)
        names.update(name for name, key, first, last in rows if any(first - near_ns <= at <= last + near_ns for at in moments[key]))
    is_shown = (IncidentRow.archived_at == 0, IncidentRow.closed_at == 0, IncidentRow.changed_at < now)
    for part in in_parts(names):
        connection.execute(update(IncidentRow).where(IncidentRow.id.in_(part), *is_shown).values(changed_at=now))


def beyond(connection: Connection, *, scope: str | None, is_closed: bool, kept: int) -> list[Row[Any]]:
    """Id, scope and written_at of the objects that are more than are kept, the least grave and oldest. `scope`: None counts those of all namespaces."""
    where: list[ColumnElement[bool]] = [IncidentRow.archived_at == 0, IncidentRow.closed_at > 0 if is_closed else IncidentRow.closed_at == 0]
    if scope is not None:
        where.append(IncidentRow.scope == scope)
    first = (IncidentRow.closed_at.desc(),) if is_closed else (IncidentRow.severity, IncidentRow.last_seen.desc())
    query = select(IncidentRow.id, IncidentRow.scope, IncidentRow.written_at).where(*where).order_by(*first, IncidentRow.id).offset(kept)
    return list(connection.execute(query.limit(1000)))


def scopes(connection: Connection) -> list[str]:
    """Namespaces that have objects."""
    return list(connection.execute(select(IncidentRow.scope).where(IncidentRow.archived_at == 0).distinct()).scalars())


def archive(connection: Connection, names: Iterable[str], *, now: int) -> None:
    """They are objects no more, and are all there in the store."""
    for name in names:
        connection.execute(update(IncidentRow).where(IncidentRow.id == name).values(archived_at=now, written_at=0))
