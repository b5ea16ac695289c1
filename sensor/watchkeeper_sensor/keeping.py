"""What the agent keeps on disk, so that a restart takes up windows and says since when nobody watched.

Every few seconds the engine's state is written as a whole; in between, each match that went into it is appended to a journal. So windows of thresholds
and sequences lose nothing when the agent is killed: the next start takes up the state and joins the matches that came after it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_detection.match import Match
from watchkeeper_sensor.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

VERSION = 2
NAME = "agent.state"
JOURNAL = "windows"  # folder
JOURNAL_BYTES = 64 << 20  # of matches between two savings
PORTION = 100  # matches of one entry of the journal
LOCK = "lock"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """The agent at a moment.

    moment   nanoseconds since the epoch
    stopped  whether it ended as it should, and not by a kill or a crash
    engine   snapshot of windows and sequences
    journal  number of the journal's last entry that is in the snapshot
    steady   when the host booted, by the time of the windows (clock.py)
    """

    version: int
    boot_id: str
    moment: int
    stopped: bool
    engine: bytes
    journal: int
    steady: int = 0


class KeepingError(Exception):
    """The state can't be written or read; the reason is for users. `since`: when it was written last, where that is known."""

    def __init__(self, message: str, since: int | None = None) -> None:
        super().__init__(message)
        self.since = since


class FolderInUseError(Exception):
    """Another process has this folder; the message is for users."""


def own_folder(folder: Path) -> int:
    """Make the folder, and take it for this process until it ends; returns the lock's descriptor. Raises FolderInUseError, OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(number, 20, 0).decode(errors="replace").strip()
        os.close(number)
        raise FolderInUseError(f"{folder} is in use by another watchkeeper{f' (process {owner})' if owner.isdecimal() else ''}: end that one first") from None
    try:
        os.ftruncate(number, 0)
        os.pwrite(number, str(os.getpid()).encode(), 0)
    except OSError:  # a full disk: the lock holds all the same, only the message names nobody
        return number
    return number


class Keeper:
    """Writes whole files and renames them, so that a crash leaves the old state or the new one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._journal_folder = folder / JOURNAL
        self._journal: Spool | None = None
        self._pending: list[Match] = []
        self.failed = ""  # why the journal can't be written; empty when it can
        self._open()

    def _open(self) -> None:
        try:
            self._journal = Spool(self._journal_folder, limit_bytes=JOURNAL_BYTES)
            self.failed = ""
        except OSError as error:
            self.failed = f"windows can't be kept in {self._journal_folder}: {error.strerror}"

    def load(self) -> Kept | None:
        """What was kept; None where there is nothing. Raises KeepingError for what can't be read, or was written by another version."""
        try:
            since = self._path.stat().st_mtime_ns
            content = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise KeepingError(f"{self._path} can't be read ({error.strerror}): windows begin anew") from None
        try:
            kept = msgspec.msgpack.decode(content, type=Kept)
        except msgspec.DecodeError:
            raise KeepingError(f"{self._path} is damaged or of another version: windows begin anew", since) from None
        if kept.version != VERSION:
            raise KeepingError(f"{self._path} is of another version: windows begin anew", since)
        return kept

    def journaled(self, after: int) -> Iterator[Match]:
        """Matches that came after this entry of the journal, in their order; where the journal is damaged, those that can be read."""
        if self._journal is None:
            return
        try:
            while entries := self._journal.read(after=after):
                for entry in entries:
                    if entry.kind == "match":
                        yield from msgspec.msgpack.decode(entry.payload, type=list[Match])
                after = entries[-1].number
        except (OSError, msgspec.DecodeError) as error:
            self.failed = f"{self._journal_folder} can't be read to its end ({error}): some windows begin anew"

    def note(self, matches: Sequence[Match]) -> None:
        """These went into the engine; `flush` writes them down."""
        self._pending += matches

    def flush(self) -> None:
        """Write down what was noted, before it can show as a detection. What can't be written is said by `failed`."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        if self._journal is None:
            return
        for start in range(0, len(pending), PORTION):
            if self._journal.append("match", msgspec.msgpack.encode(pending[start : start + PORTION])) is None:
                self.failed = f"windows can't be kept in {self._journal_folder}: the disk does not take them"

    def save(self, boot_id: str, moment: int, engine: bytes, *, steady: int = 0, stopped: bool = False) -> None:
        """Everything that was noted must be in `engine`. Raises KeepingError."""
        self.flush()
        if self._journal is None:
            self._open()
        last = self._journal.last if self._journal is not None else 0
        content = msgspec.msgpack.encode(Kept(VERSION, boot_id, moment, stopped, engine, last, steady))
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with part.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                part.unlink()  # gives back what a full disk took of it
            raise KeepingError(f"the agent's state can't be kept in {self._path.parent}: {error.strerror}") from None
        if self._journal is not None:
            self._journal.acknowledge(last)
            self.failed = ""

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
