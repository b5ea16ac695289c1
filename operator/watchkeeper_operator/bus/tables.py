"""Tables of the queue, in SQLite or PostgreSQL, and the one row that all who write take turns at.

Numbers are given out while that row is locked, so that they appear in the order of the commits: whoever has read up to a number has missed nothing below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, LargeBinary, MetaData, Table, Text, delete, func, insert, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from watchkeeper_operator.bus.messages import Message

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement

SPOOLS = 64  # of one source that are remembered: a sensor has one as long as its disk lives, and one for each portion that had no room there
CREATE_LOCK = 0x7761746368  # of PostgreSQL, for replicas that start at once

_metadata = MetaData()
_turn = Table(
    "queue_turn",
    _metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("next_id", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
)
_messages = Table(
    "queue_messages",
    _metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("topic", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Index("queue_messages_latest", "source", "topic"),
)
_marks = Table(
    "queue_marks",
    _metadata,
    Column("source", Text, primary_key=True),
    Column("spool", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
)
_sources = Table("queue_sources", _metadata, Column("source", Text, primary_key=True), Column("bytes", BigInteger, nullable=False))

Spool = tuple[str, str]  # source, and the spool's own id


class Removed(NamedTuple):
    """How many messages went, and how many bytes of each source."""

    entries: int
    bytes: dict[str, int]


class Turn(NamedTuple):
    """The number of the next message, and what is there."""

    next_id: int
    bytes: int
    entries: int

    def without(self, removed: Removed) -> Turn:
        return Turn(self.next_id, self.bytes - sum(removed.bytes.values()), self.entries - removed.entries)


def create(connection: Connection, first_id: int) -> None:
    """Make what is missing. `first_id`: above any number that a queue which was lost gave out, for readers count on."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CREATE_LOCK})
    _metadata.create_all(connection)
    if connection.execute(select(_turn.c.one)).first() is None:
        connection.execute(insert(_turn).values(one=1, next_id=first_id, bytes=0, entries=0))


def take_turn(connection: Connection) -> Turn:
    """Nobody else writes until this transaction ends."""
    return Turn(*connection.execute(select(_turn.c.next_id, _turn.c.bytes, _turn.c.entries).with_for_update()).one())


def end_turn(connection: Connection, turn: Turn) -> None:
    connection.execute(update(_turn).values(**turn._asdict()))


def marks_of(connection: Connection, spools: Collection[Spool]) -> dict[Spool, int]:
    """The highest position that was stored of each."""
    found = connection.execute(select(_marks.c.source, _marks.c.spool, _marks.c.position).where(tuple_(_marks.c.source, _marks.c.spool).in_(list(spools))))
    return {(source, spool): position for source, spool, position in found}


def mark(connection: Connection, marks: Mapping[Spool, int], moment: int) -> None:
    """Remember positions, of each source those of its latest spools alone."""
    made = _insert(connection, _marks)
    upsert = made.on_conflict_do_update(index_elements=["source", "spool"], set_={"position": made.excluded.position, "used_at": made.excluded.used_at})
    connection.execute(upsert, [{"source": source, "spool": spool, "position": position, "used_at": moment} for (source, spool), position in marks.items()])
    for source in {source for source, _ in marks}:
        kept = select(_marks.c.spool).where(_marks.c.source == source).order_by(_marks.c.used_at.desc(), _marks.c.spool).limit(SPOOLS)
        connection.execute(delete(_marks).where(_marks.c.source == source, _marks.c.spool.not_in(kept)))


def add(connection: Connection, messages: Sequence[Message]) -> None:
    rows = [
        {"id": one.id, "topic": one.topic, "source": one.source, "received_at": one.received_at, "size": len(one.payload), "payload": one.payload}
        for one in messages
    ]
    connection.execute(insert(_messages), rows)


def held_by(connection: Connection, sources: Collection[str]) -> dict[str, int]:
    """Source → bytes of its messages that wait."""
    found = connection.execute(select(_sources.c.source, _sources.c.bytes).where(_sources.c.source.in_(list(sources))))
    return {row.source: row.bytes for row in found}


def note_held(connection: Connection, held: Mapping[str, int]) -> None:
    made = _insert(connection, _sources)
    upsert = made.on_conflict_do_update(index_elements=["source"], set_={"bytes": made.excluded.bytes})
    connection.execute(upsert, [{"source": source, "bytes": size} for source, size in held.items()])
    connection.execute(delete(_sources).where(_sources.c.bytes <= 0))


def remove_through(connection: Connection, last: int) -> Removed:
    """Messages up to this number go."""
    return _remove(connection, _messages.c.id <= last)


def remove_latest(connection: Connection, states: Collection[tuple[str, str]]) -> Removed:
    """States of these sources and topics that wait go, as newer ones come."""
    return _remove(connection, tuple_(_messages.c.source, _messages.c.topic).in_(list(states)))


def _remove(connection: Connection, which: ColumnElement[bool]) -> Removed:
    gone = connection.execute(select(_messages.c.source, func.count(), func.sum(_messages.c.size)).where(which).group_by(_messages.c.source)).all()
    if not gone:
        return Removed(0, {})
    connection.execute(delete(_messages).where(which))
    return Removed(sum(count for _, count, _ in gone), {source: int(size) for source, _, size in gone})


def fetch(connection: Connection, after: int, limit: int, limit_bytes: int) -> list[Message]:
    """The first messages above a number: no more than `limit`, and no more bytes unless the first alone is larger."""
    waiting = select(_messages.c.id, _messages.c.size).where(_messages.c.id > after).order_by(_messages.c.id).limit(limit)
    last, size = after, 0
    for number, added in connection.execute(waiting):
        size += added
        if size > limit_bytes and last != after:
            break
        last = number
    columns = (_messages.c.id, _messages.c.topic, _messages.c.source, _messages.c.received_at, _messages.c.payload)
    rows = connection.execute(select(*columns).where(_messages.c.id > after, _messages.c.id <= last).order_by(_messages.c.id))
    return [Message(number, topic, source, received_at, bytes(payload)) for number, topic, source, received_at, payload in rows]


def newest(connection: Connection) -> int:
    """The number of the message that came last; 0 where none waits."""
    return connection.execute(select(func.max(_messages.c.id))).scalar_one() or 0


def oldest_received_at(connection: Connection) -> int | None:
    """When the message came that waits longest, ns since the epoch."""
    return connection.execute(select(_messages.c.received_at).order_by(_messages.c.id).limit(1)).scalar_one_or_none()


def _insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
