"""The door to the database of operator and collector: SQLite (a file of one process) or PostgreSQL (of all replicas), by URL.

What a `writing` block wrote is on disk when the block is left: SQLite syncs its write-ahead log at each commit, PostgreSQL commits synchronously.
All calls block; in asyncio they belong into `asyncio.to_thread`.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Engine

BUSY_SECONDS = 10  # a writer waits for another one
STATEMENT_SECONDS = 60  # PostgreSQL gives up on one statement
CONNECT_SECONDS = 10
CONNECTIONS = 5
PRAGMAS = (f"busy_timeout={BUSY_SECONDS * 1000}", "synchronous=FULL", "foreign_keys=ON", "journal_size_limit=67108864")
LOCKED_SECONDS = 0.02  # between two attempts to begin the write-ahead log
POSTGRESQL_OPTIONS = (
    "-c synchronous_commit=on -c timezone=UTC"
    f" -c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={BUSY_SECONDS}s -c idle_in_transaction_session_timeout={STATEMENT_SECONDS}s"
)
READS_ONLY = "watchkeeper_reads_only"


class StoreError(Exception):
    """The database can't be used now; the reason names no password and no stored value."""


def open_engine(url: str) -> Engine:
    """Engine of `sqlite:////folder/file` (made where it is missing, for its owner only) or `postgresql://user@host/name`.

    Connects at the first use, not now. Raises StoreError for a URL that is neither.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("not a database URL: sqlite:////folder/file or postgresql://user@host/name is meant") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed)
        case "postgresql":
            return _postgresql(parsed)
        case other:
            raise StoreError(f"databases are SQLite or PostgreSQL, not {other}")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: all of it is on disk afterwards, or nothing of it is. Raises StoreError."""
    with _told(engine), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that only reads; with SQLite it waits for no writer. Raises StoreError."""
    with _told(engine), engine.connect().execution_options(**{READS_ONLY: True}) as connection:
        yield connection


def _sqlite(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreError("a SQLite database has to be a file: sqlite:////folder/file")
    path = Path(url.database).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreError(f"can't use {path}: {error.strerror}") from None
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS}, pool_size=CONNECTIONS, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions of its own: `begun` does
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        _write_ahead(connection)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        """A writer takes the lock first: one that read before it can't be refused in the middle."""
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS_ONLY) else "BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """SQLite waits for nobody when the first ones who open a new file begin its write-ahead log at once, so we do. Raises OperationalError."""
    ends_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends_at:
                raise
            time.sleep(LOCKED_SECONDS)
        else:
            return


def _postgresql(url: URL) -> Engine:
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise StoreError("PostgreSQL is reached by postgresql:// or postgresql+psycopg://")
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"connect_timeout": CONNECT_SECONDS, "options": POSTGRESQL_OPTIONS, "application_name": "watchkeeper"},
        pool_size=CONNECTIONS,
        pool_timeout=BUSY_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,
    )


@contextmanager
def _told(engine: Engine) -> Iterator[None]:
    """Trouble of database, disk and network as StoreError; what only a mistake of ours can cause passes as it is."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except DBAPIError as error:
        reason = str(error.orig).strip().splitlines() or [type(error.orig).__name__]
        raise StoreError(f"{engine.url.render_as_string(hide_password=True)}: {reason[0][:300]}") from None
    except PoolTimeoutError:
        raise StoreError(f"{engine.url.render_as_string(hide_password=True)}: all {CONNECTIONS} connections are in use") from None
