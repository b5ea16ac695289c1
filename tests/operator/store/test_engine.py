from __future__ import annotations

import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from watchkeeper_operator.store.engine import StoreError, open_engine, reading, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine
    from tests.support.postgresql import PostgreSQL


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE acts (id INTEGER PRIMARY KEY, word TEXT NOT NULL)"))
    yield engine
    engine.dispose()


def _words(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.execute(text("SELECT word FROM acts ORDER BY id")).scalars())


def test_what_was_written_is_there_for_another_engine(engine: Engine, url: str) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO acts VALUES (1, 'exec')"))
    other = open_engine(url)
    assert _words(other) == ["exec"]
    other.dispose()


def test_nothing_of_a_transaction_that_failed_is_kept(engine: Engine) -> None:
    class MidwayError(Exception):
        pass

    def write_half() -> None:
        with writing(engine) as connection:
            connection.execute(text("INSERT INTO acts VALUES (1, 'exec')"))
            raise MidwayError

    with pytest.raises(MidwayError):
        write_half()
    assert _words(engine) == []


def test_tables_made_in_a_transaction_that_failed_are_not_kept(engine: Engine) -> None:
    def create_half() -> None:
        with writing(engine) as connection:
            connection.execute(text("CREATE TABLE half (id INTEGER)"))
            connection.execute(text("nonsense"))

    with pytest.raises(ProgrammingError if engine.dialect.name == "postgresql" else StoreError):
        create_half()
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))


def test_readers_do_not_wait_for_a_writer(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO acts VALUES (1, 'exec')"))
        before = time.monotonic()
        assert _words(engine) == []
        assert time.monotonic() - before < 2


def test_writers_of_several_threads_all_get_their_turn(engine: Engine) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 20):
            with writing(engine) as connection:
                connection.execute(text("INSERT INTO acts VALUES (:id, 'exec')"), {"id": number})

    threads = [threading.Thread(target=write, args=(100 * thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_words(engine)) == 80


def test_a_sqlite_store_syncs_each_commit_and_is_its_owners_alone(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'folder' / 'store.db'}")
    with writing(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()
    assert stat.S_IMODE((tmp_path / "folder" / "store.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o700


def test_postgresql_commits_synchronously_whatever_the_server_defaults_to(postgresql: PostgreSQL) -> None:
    engine = open_engine(postgresql.url())
    with writing(engine) as connection:
        connection.execute(text("ALTER ROLE watchkeeper SET synchronous_commit = off"))
    engine.dispose()
    with reading(engine) as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    with writing(engine) as connection:
        connection.execute(text("ALTER ROLE watchkeeper RESET synchronous_commit"))
    engine.dispose()


def test_a_server_that_was_restarted_is_used_again(postgresql: PostgreSQL) -> None:
    engine = open_engine(postgresql.url())
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE acts (id INTEGER PRIMARY KEY, word TEXT NOT NULL)"))
        connection.execute(text("INSERT INTO acts VALUES (1, 'exec')"))
    postgresql.restart()
    assert _words(engine) == ["exec"]
    engine.dispose()


def test_a_server_that_stops_in_a_transaction_is_a_store_error(postgresql: PostgreSQL) -> None:
    engine = open_engine(postgresql.url())

    def outlive_the_server() -> None:
        with writing(engine) as connection:
            connection.execute(text("SELECT 1"))
            postgresql.restart()
            connection.execute(text("SELECT 1"))

    with pytest.raises(StoreError):
        outlive_the_server()
    engine.dispose()


@pytest.mark.parametrize("wrong", ["", "store.db", "sqlite://", "sqlite:///:memory:", "mysql://host/name", "postgresql+asyncpg://host/name"])
def test_what_is_no_database_of_ours_is_refused(wrong: str) -> None:
    with pytest.raises(StoreError):
        open_engine(wrong)


def test_a_password_is_in_no_error() -> None:
    engine = open_engine("postgresql://watchkeeper:s3cr3t@127.0.0.1:1/watchkeeper")
    with pytest.raises(StoreError) as caught, reading(engine):
        pass
    assert "s3cr3t" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_a_file_that_is_no_database_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, but long enough to be looked at" * 10)
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(StoreError, match="not a database"), writing(engine):
        pass
    engine.dispose()
