"""Detections of this host, on disk: SQLite, one file, write-ahead log, bounded."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Self

import msgspec

from watchkeeper_detection.detection import Detection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEPT = 1_000_000  # detections; the oldest go first
SCHEMA = """
CREATE TABLE IF NOT EXISTS detections (
  id TEXT PRIMARY KEY,
  observed_at INTEGER NOT NULL,
  severity TEXT NOT NULL,
  policy TEXT NOT NULL,
  content BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS detections_by_time ON detections (observed_at);
"""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Detection)


class StoreError(Exception):
    """The file can't be used; the reason is for users."""


class DetectionStore:
    """One writer, any number of readers."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises StoreError."""
        try:
            if not read_only:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}", uri=True, timeout=5)
            if not read_only:
                path.chmod(0o600)
                self._connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {SCHEMA}")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"can't use {path}: {error}") from None
        self._path = path

    def add(self, detections: Iterable[Detection]) -> None:
        """Keep detections; one that is there already stays as it is. Raises StoreError."""
        rows = [(one.id, one.observed_at, one.severity, one.policy, _encode(one)) for one in detections]
        try:
            with self._connection:
                self._connection.executemany("INSERT OR IGNORE INTO detections VALUES (?, ?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise StoreError(f"can't write to {self._path}: {error}") from None

    def trim(self, kept: int = KEPT) -> int:
        """Forget the oldest beyond `kept`; returns how many went."""
        with self._connection:
            (count,) = self._connection.execute("SELECT count(*) FROM detections").fetchone()
            if count <= kept:
                return 0
            self._connection.execute("DELETE FROM detections WHERE id IN (SELECT id FROM detections ORDER BY observed_at LIMIT ?)", (count - kept,))
            return int(count - kept)

    def find(self, *, since: int = 0, severity: str = "P4", policy: str | None = None, most: int = 1000) -> Iterator[Detection]:
        """The latest `most` of this severity or worse since a moment (nanoseconds since the epoch), oldest first."""
        where, values = "observed_at >= ? AND severity <= ?", [since, severity]
        if policy is not None:
            where += " AND policy = ?"
            values.append(policy)
        query = f"SELECT content FROM (SELECT observed_at, content FROM detections WHERE {where} ORDER BY observed_at DESC LIMIT ?) ORDER BY observed_at"  # noqa: S608 (values are bound)
        for (content,) in self._connection.execute(query, (*values, most)):
            yield _decoder.decode(content)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
