"""How far the leader has come: positions in queues, state of engines, when somebody was blind, and what was dropped."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, func, select

from watchkeeper_detection.wire import Blind
from watchkeeper_operator.store.tables import BlindRow, DroppedRow, JournalRow, PositionRow, SnapshotRow
from watchkeeper_operator.store.upsert import add_rows, put_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_encode = msgspec.msgpack.Encoder().encode
_blind = msgspec.msgpack.Decoder(Blind)


def position(connection: Connection, queue: str) -> int:
    """The last message of a queue that was taken in; 0 before the first."""
    return connection.execute(select(PositionRow.position).where(PositionRow.queue == queue)).scalar_one_or_none() or 0


def move_position(connection: Connection, queue: str, through: int, *, now: int) -> None:
    put_rows(connection, PositionRow, [{"queue": queue, "position": through, "moved_at": now}])


def saved_state(connection: Connection, engine: str) -> tuple[bytes | None, list[bytes]]:
    """An engine's snapshot, and what it took since, in order."""
    snapshot = connection.execute(select(SnapshotRow.content).where(SnapshotRow.engine == engine)).scalar_one_or_none()
    entries = connection.execute(select(JournalRow.content).where(JournalRow.engine == engine).order_by(JournalRow.number)).scalars()
    return snapshot, list(entries)


def save_state(connection: Connection, engine: str, snapshot: bytes, *, now: int) -> None:
    """Keep a snapshot; what was taken before it is part of it."""
    put_rows(connection, SnapshotRow, [{"engine": engine, "taken_at": now, "content": snapshot}])
    connection.execute(delete(JournalRow).where(JournalRow.engine == engine))


def note_taken(connection: Connection, engine: str, content: bytes) -> None:
    """Add to what an engine took since its snapshot."""
    last = connection.execute(select(func.max(JournalRow.number)).where(JournalRow.engine == engine)).scalar_one() or 0
    add_rows(connection, JournalRow, [{"engine": engine, "number": last + 1, "content": content}])


def add_blind(connection: Connection, source: str, intervals: Iterable[Blind]) -> None:
    """Keep intervals; one that is told twice is one."""
    rows = []
    for interval in intervals:
        content = _encode(interval)
        name = hashlib.blake2b(source.encode("utf-8", "replace") + b"\0" + content, digest_size=16).hexdigest()
        rows.append({"id": name, "source": source.replace("\0", ""), "since": interval.since, "until": interval.until, "content": content})
    add_rows(connection, BlindRow, rows)


def blind_between(connection: Connection, since: int, until: int, *, most: int = 200) -> list[tuple[str, Blind]]:
    """Source and interval of those that overlap a time, the latest `most`, in order of their begin."""
    query = select(BlindRow.source, BlindRow.content).where(BlindRow.until >= since, BlindRow.since <= until).order_by(BlindRow.until.desc()).limit(most)
    found = [(source, _blind.decode(content)) for source, content in connection.execute(query)]
    return sorted(found, key=lambda row: (row[1].since, row[1].until, row[0]))


def count_dropped(connection: Connection, what: str, reason: str, count: int, *, since: int, until: int) -> None:
    """Add to what was dropped of something, for a reason, and to the time that it is of."""
    if count:
        query = select(DroppedRow.count, DroppedRow.since, DroppedRow.until).where(DroppedRow.what == what, DroppedRow.reason == reason)
        so_far, first, last = connection.execute(query).one_or_none() or (0, since, until)
        sums = {"count": so_far + count, "since": min(first, since), "until": max(last, until)}
        put_rows(connection, DroppedRow, [{"what": what, "reason": reason, **sums}])


def dropped(connection: Connection) -> dict[tuple[str, str], int]:
    """(what, reason) → how many."""
    return {(what, reason): count for what, reason, count in connection.execute(select(DroppedRow.what, DroppedRow.reason, DroppedRow.count))}
