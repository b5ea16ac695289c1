"""What receivers are still to be told, and what could never be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, func, select, update

from watchkeeper_operator.store.progress import count_dropped
from watchkeeper_operator.store.tables import NoticeRow
from watchkeeper_operator.store.upsert import add_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

MOST = 10_000  # waiting and dead ones; the oldest dead go first, then no new ones are taken, and both is counted


class Notice(NamedTuple):
    """One that is due."""

    receiver: str
    incident: str
    occasion: str
    made_at: int
    attempts: int
    body: bytes


def add_notices(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what is to be told; one of the same incident and occasion stays as it is."""
    if not rows:
        return
    room = MOST - int(connection.execute(select(func.count()).select_from(NoticeRow)).scalar_one())
    if room < len(rows):
        dead = select(NoticeRow.receiver, NoticeRow.incident, NoticeRow.occasion).where(NoticeRow.state == "dead").order_by(NoticeRow.made_at)
        for notice in connection.execute(dead.limit(len(rows) - room)).all():
            _delete(connection, *notice)
            room += 1
    add_rows(connection, NoticeRow, rows[: max(0, room)])
    now = int(rows[0]["made_at"])
    count_dropped(connection, "notice", "full", len(rows) - max(0, min(room, len(rows))), since=now, until=now)


def due_notices(connection: Connection, receiver: str, *, now: int, most: int = 100) -> list[Notice]:
    """Those that wait and are due, oldest first."""
    columns = (NoticeRow.receiver, NoticeRow.incident, NoticeRow.occasion, NoticeRow.made_at, NoticeRow.attempts, NoticeRow.body)
    query = select(*columns).where(NoticeRow.receiver == receiver, NoticeRow.state == "waiting", NoticeRow.due_at <= now)
    return [Notice(*row) for row in connection.execute(query.order_by(NoticeRow.made_at, NoticeRow.incident).limit(most))]


def notice_taken(connection: Connection, notice: Notice) -> None:
    """The receiver has it."""
    _delete(connection, *notice[:3])


def notice_failed(connection: Connection, notice: Notice, reason: str, *, due_at: int | None) -> None:
    """It is told again at `due_at`, or never."""
    where = (NoticeRow.receiver == notice.receiver, NoticeRow.incident == notice.incident, NoticeRow.occasion == notice.occasion)
    state = "dead" if due_at is None else "waiting"
    values = {"state": state, "attempts": notice.attempts + 1, "reason": reason.replace("\0", "")[:300], "due_at": due_at or 0}
    connection.execute(update(NoticeRow).where(*where).values(**values))


def count_notices(connection: Connection) -> dict[tuple[str, str], int]:
    """(receiver, state) → how many."""
    query = select(NoticeRow.receiver, NoticeRow.state, func.count()).group_by(NoticeRow.receiver, NoticeRow.state)
    return {(receiver, state): count for receiver, state, count in connection.execute(query)}


def _delete(connection: Connection, receiver: str, incident: str, occasion: str) -> None:
    connection.execute(delete(NoticeRow).where(NoticeRow.receiver == receiver, NoticeRow.incident == incident, NoticeRow.occasion == occasion))
