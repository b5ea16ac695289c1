"""Rows that may be there already: the same words for SQLite and PostgreSQL."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql, sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from watchkeeper_operator.store.tables import Table

VALUES = 900  # bound to one statement at most: the least that SQLite builds take


def put_rows(connection: Connection, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; one whose primary key is there takes its place."""
    if rows:
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
        keys = table.__mapper__.primary_key
        others = {name: insert.excluded[name] for name in rows[0] if name not in {key.name for key in keys}}
        connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=others), list(rows))


def add_rows(connection: Connection, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; one whose primary key is there stays as it is."""
    if rows:
        insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
        connection.execute(insert.on_conflict_do_nothing(index_elements=table.__mapper__.primary_key), list(rows))


def in_parts(values: Iterable[str], most: int = VALUES) -> Iterator[list[str]]:
    """Values for the `IN` of one statement after another."""
    rest = iter(values)
    while part := list(islice(rest, most)):
        yield part
