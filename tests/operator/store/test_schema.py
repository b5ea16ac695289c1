from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, text

from watchkeeper_operator.store.documents import FencedError, claim, delete_document, document, documents, put_document
from watchkeeper_operator.store.engine import StoreError, open_engine, reading, writing
from watchkeeper_operator.store.schema import STEPS, migrate
from watchkeeper_operator.store.tables import Table

if TYPE_CHECKING:
    from sqlalchemy import Engine


def test_the_steps_make_the_tables_that_the_code_names(engine: Engine) -> None:
    found = inspect(engine)
    assert set(found.get_table_names()) == {*Table.metadata.tables, "store_schema"}
    for name, table in Table.metadata.tables.items():
        columns = {column["name"]: column for column in found.get_columns(name)}
        assert set(columns) == {column.name for column in table.columns}, name
        assert found.get_pk_constraint(name)["constrained_columns"] == [column.name for column in table.primary_key], name
        for column in table.columns:
            assert not columns[column.name]["nullable"] or column.primary_key, f"{name}.{column.name}"
            assert columns[column.name]["type"].python_type is column.type.python_type, f"{name}.{column.name}"


def test_steps_are_taken_once(url: str) -> None:
    engine = open_engine(url)
    assert [migrate(engine), migrate(engine)] == [len(STEPS), 0]
    engine.dispose()


def test_replicas_that_start_together_make_one_schema(url: str) -> None:
    taken = []

    def start() -> None:
        engine = open_engine(url)
        taken.append(migrate(engine))
        engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [0] * 7 + [len(STEPS)]


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(text("UPDATE store_schema SET version = 99"))
    with pytest.raises(StoreError, match="newer"):
        migrate(engine)


def test_a_document_takes_the_place_of_the_older_one(engine: Engine) -> None:
    with writing(engine) as connection:
        put_document(connection, "policies", "b", b"one", now=1)
        put_document(connection, "policies", "b", b"\x00two", now=2)
        put_document(connection, "policies", "a", b"three", now=2)
        put_document(connection, "other", "b", b"four", now=2)
    with reading(engine) as connection:
        assert documents(connection, "policies") == {"a": b"three", "b": b"\x00two"}
        assert document(connection, "policies", "c") is None
    with writing(engine) as connection:
        delete_document(connection, "policies", "b")
        assert (document(connection, "policies", "b"), document(connection, "other", "b")) == (None, b"four")


def test_a_document_too_long_is_refused(engine: Engine) -> None:
    with pytest.raises(StoreError, match="at most"), writing(engine) as connection:
        put_document(connection, "policies", "a", bytes(16 * 1024 * 1024 + 1), now=1)


def test_a_leader_of_an_older_epoch_writes_nothing(engine: Engine) -> None:
    with writing(engine) as connection:
        claim(connection, 3)
        claim(connection, 4)

    def write_late() -> None:
        with writing(engine) as connection:
            put_document(connection, "policies", "a", b"late", now=1)
            claim(connection, 3)

    with pytest.raises(FencedError):
        write_late()
    with reading(engine) as connection:
        assert document(connection, "policies", "a") is None
