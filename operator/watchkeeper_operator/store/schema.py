"""The schema of the operator's store: a list of steps, each taken once, by whichever replica comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from watchkeeper_operator.store.engine import StoreError, writing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

STEPS = (
    """
CREATE TABLE leader (id BIGINT PRIMARY KEY, epoch BIGINT NOT NULL);
INSERT INTO leader VALUES (1, 0);
CREATE TABLE documents (kind TEXT NOT NULL, name TEXT NOT NULL, changed_at BIGINT NOT NULL, content {bytes} NOT NULL, PRIMARY KEY (kind, name));
CREATE TABLE detections (
  id TEXT NOT NULL PRIMARY KEY, observed_at BIGINT NOT NULL, stored_at BIGINT NOT NULL,
  scope TEXT NOT NULL, policy TEXT NOT NULL, severity TEXT NOT NULL, incident TEXT NOT NULL, content {bytes} NOT NULL
);
CREATE INDEX detections_by_time ON detections (observed_at);
CREATE INDEX detections_by_incident ON detections (incident, observed_at);
CREATE TABLE context_keys (key TEXT NOT NULL, observed_at BIGINT NOT NULL, detection TEXT NOT NULL, PRIMARY KEY (key, observed_at, detection));
CREATE INDEX context_keys_by_time ON context_keys (observed_at);
CREATE TABLE incidents (
  id TEXT NOT NULL PRIMARY KEY, scope TEXT NOT NULL, severity TEXT NOT NULL, opened_by TEXT NOT NULL, opened_at BIGINT NOT NULL,
  first_seen BIGINT NOT NULL, last_seen BIGINT NOT NULL, changed_at BIGINT NOT NULL, written_at BIGINT NOT NULL,
  closed_at BIGINT NOT NULL, archived_at BIGINT NOT NULL, merged_into TEXT NOT NULL, disposition TEXT NOT NULL, owner TEXT NOT NULL, content {bytes} NOT NULL
);
CREATE INDEX incidents_by_object ON incidents (archived_at, closed_at, severity, last_seen);
CREATE INDEX incidents_by_end ON incidents (last_seen);
CREATE INDEX incidents_by_rule ON incidents (opened_by, last_seen);
CREATE INDEX incidents_by_change ON incidents (changed_at);
CREATE TABLE incident_keys (key TEXT NOT NULL, incident TEXT NOT NULL, first BIGINT NOT NULL, last BIGINT NOT NULL, PRIMARY KEY (key, incident));
CREATE INDEX incident_keys_by_incident ON incident_keys (incident);
CREATE TABLE moments (incident TEXT NOT NULL, moment TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (incident, moment));
CREATE TABLE dispositions (incident TEXT NOT NULL, at BIGINT NOT NULL, disposition TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY (incident, at));
CREATE TABLE blind (id TEXT NOT NULL PRIMARY KEY, source TEXT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL, content {bytes} NOT NULL);
CREATE INDEX blind_by_end ON blind (until);
CREATE TABLE dropped (
  what TEXT NOT NULL, reason TEXT NOT NULL, count BIGINT NOT NULL, since BIGINT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (what, reason)
);
CREATE TABLE positions (queue TEXT NOT NULL PRIMARY KEY, position BIGINT NOT NULL, moved_at BIGINT NOT NULL);
CREATE TABLE snapshots (engine TEXT NOT NULL PRIMARY KEY, taken_at BIGINT NOT NULL, content {bytes} NOT NULL);
CREATE TABLE journal (engine TEXT NOT NULL, number BIGINT NOT NULL, content {bytes} NOT NULL, PRIMARY KEY (engine, number));
CREATE TABLE notices (
  receiver TEXT NOT NULL, incident TEXT NOT NULL, occasion TEXT NOT NULL, state TEXT NOT NULL, made_at BIGINT NOT NULL,
  due_at BIGINT NOT NULL, attempts BIGINT NOT NULL, reason TEXT NOT NULL, body {bytes} NOT NULL, PRIMARY KEY (receiver, incident, occasion)
);
CREATE INDEX notices_by_due ON notices (state, due_at)
""",
)
BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}
LOCK = 0x57A7C4  # of PostgreSQL, for the replica that takes the steps


def migrate(engine: Engine) -> int:
    """Bring the store to this version's schema; returns how many steps were taken.

    Raises StoreError, also where a newer version wrote the store: what it keeps there is not guessed at.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        version = _version(connection)
        if version > len(STEPS):
            raise StoreError(f"the store has schema {version}, this version knows {len(STEPS)}: it was written by a newer one")
        for step in STEPS[version:]:
            for statement in step.split(";"):
                connection.execute(text(statement.format(bytes=BYTES[engine.dialect.name])))
        connection.execute(text("UPDATE store_schema SET version = :version"), {"version": len(STEPS)})
        return len(STEPS) - version


def _version(connection: Connection) -> int:
    """Steps taken so far."""
    if not inspect(connection).has_table("store_schema"):
        connection.execute(text("CREATE TABLE store_schema (version BIGINT NOT NULL)"))
        connection.execute(text("INSERT INTO store_schema VALUES (0)"))
    return int(connection.execute(text("SELECT version FROM store_schema")).scalar_one())
