"""Detections of this host and when it was blind, on disk: SQLite, one file, write-ahead log, bounded."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Self

import msgspec

from watchkeeper_detection.detection import Detection
from watchkeeper_detection.wire import Blind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

KEPT = 1_000_000  # detections, and as many blind intervals; the oldest go first
BUSY_SECONDS = 0.5  # to wait for another process that writes
ASIDE = 2  # damaged files that are kept
SIDE_FILES = ("", "-wal", "-shm")  # what SQLite makes of one file
SCHEMA = """
CREATE TABLE IF NOT EXISTS detections (
  id TEXT PRIMARY KEY,
  observed_at INTEGER NOT NULL,
  severity TEXT NOT NULL,
  policy TEXT NOT NULL,
  content BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS detections_by_time ON detections (observed_at);
CREATE TABLE IF NOT EXISTS blind (
  id TEXT PRIMARY KEY,
  since INTEGER NOT NULL,
  until INTEGER NOT NULL,
  content BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blind_by_time ON blind (until);
"""

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Detection)
_blind_decoder = msgspec.msgpack.Decoder(Blind)


class StoreError(Exception):
    """The file can't be used; the reason is for users."""


class DamagedError(StoreError):
    """The file is no database, or not a whole one any more: waiting does not help, `move_aside` does."""


def move_aside(path: Path, moment: int) -> Path:
    """Give a damaged file another name, so that a new one can begin; the last ASIDE of them are kept. Raises StoreError."""
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    try:
        for suffix in SIDE_FILES:
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        names = {one.name.removesuffix("-wal").removesuffix("-shm") for one in path.parent.glob(f"{path.name}.damaged-*")}
        for name in sorted(names, key=lambda name: (len(name), name))[:-ASIDE]:
            for suffix in SIDE_FILES:
                path.with_name(name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"can't move {path} aside: {error.strerror}") from None
    return aside


class DetectionStore:
    """One writer, any number of readers."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises StoreError."""
        self._path = path
        if not read_only:
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise StoreError(f"can't use {path}: {error.strerror}") from None
        with self._told("use"):
            self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}", uri=True, timeout=BUSY_SECONDS)
        if not read_only:
            try:
                with self._told("use"):
                    path.chmod(0o600)
                    self._connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {SCHEMA}")
            except StoreError:
                self._connection.close()
                raise

    @contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        """Errors of the database and the disk as StoreError."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # absent where Python itself refuses
            kind = DamagedError if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) else StoreError
            raise kind(f"can't {verb} {self._path}: {error}") from None
        except OSError as error:
            raise StoreError(f"can't {verb} {self._path}: {error.strerror}") from None
        except msgspec.DecodeError as error:
            raise DamagedError(f"can't {verb} {self._path}: {error}") from None

    def add(self, detections: Iterable[Detection], blind: Iterable[Blind] = ()) -> None:
        """Keep all of them, or none; one that is there already stays as it is. Raises StoreError."""
        rows = [(one.id, one.observed_at, one.severity, one.policy, _encode(one)) for one in detections]
        intervals = [(hashlib.blake2b(content := _encode(one), digest_size=16).hexdigest(), one.since, one.until, content) for one in blind]
        with self._told("write to"), self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO detections VALUES (?, ?, ?, ?, ?)", rows)
            self._connection.executemany("INSERT OR IGNORE INTO blind VALUES (?, ?, ?, ?)", intervals)

    def trim(self, kept: int = KEPT) -> int:
        """Forget the oldest beyond `kept`; returns how many went. Raises StoreError."""
        with self._told("write to"), self._connection:
            return self._trim("detections", "observed_at", kept) + self._trim("blind", "until", kept)

    def _trim(self, table: str, by: str, kept: int) -> int:
        (count,) = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 (names of our own)
        if count <= kept:
            return 0
        self._connection.execute(f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY {by} LIMIT ?)", (count - kept,))  # noqa: S608 (names of our own)
        return int(count - kept)

    def find(
        self, *, since: int = 0, severity: str = "P4", policy: str | None = None, keep: Callable[[Detection], bool] | None = None, most: int = 1000
    ) -> Iterator[Detection]:
        """The latest `most` of this severity or worse since a moment (nanoseconds since the epoch), oldest first; `keep` chooses among them.

        Raises StoreError.
        """
        where, values = "observed_at >= ? AND severity <= ?", [since, severity]
        if policy is not None:
            where += " AND policy = ?"
            values.append(policy)
        newest_first = f"SELECT id, content FROM detections WHERE {where} ORDER BY observed_at DESC"  # noqa: S608 (values are bound)
        with self._told("read"):
            rows = self._connection.execute(newest_first, values)
            chosen = list(islice((name for name, content in rows if keep is None or keep(_decoder.decode(content))), most))
            for name in reversed(chosen):
                for (content,) in self._connection.execute("SELECT content FROM detections WHERE id = ?", (name,)):
                    yield _decoder.decode(content)

    def named(self, beginning: str, most: int = 10) -> list[Detection]:
        """Detections whose id begins like this, hexadecimal. Raises StoreError."""
        with self._told("read"):
            rows = self._connection.execute("SELECT content FROM detections WHERE id >= ? AND id < ? LIMIT ?", (beginning, beginning + "g", most))
            return [_decoder.decode(content) for (content,) in rows]

    def blind(self, *, since: int = 0, most: int = 1000) -> list[Blind]:
        """The latest `most` intervals that end after a moment, in order of their begin. Raises StoreError."""
        with self._told("read"):
            if not self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'blind'").fetchone():
                return []  # written by a version that did not keep them
            rows = self._connection.execute("SELECT content FROM blind WHERE until >= ? ORDER BY until DESC LIMIT ?", (since, most))
            return sorted((_blind_decoder.decode(content) for (content,) in rows), key=lambda one: (one.since, one.until))

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
