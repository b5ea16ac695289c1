from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.postgresql import NoServerError, PostgreSQL

from watchkeeper_operator.store.engine import open_engine
from watchkeeper_operator.store.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    try:
        server = PostgreSQL().__enter__()
    except NoServerError as reason:
        pytest.skip(f"no PostgreSQL here: {reason}")
    yield server
    server.__exit__()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database, of both kinds in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'folder' / 'store.db'}"
    return request.getfixturevalue("postgresql").url()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Of a store with this version's schema, of both kinds in turn."""
    engine = open_engine(url)
    migrate(engine)
    yield engine
    engine.dispose()
