"""What the agent keeps on disk, so that a restart takes up windows and says since when nobody watched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 1
NAME = "agent.state"


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """The agent at a moment.

    moment   nanoseconds since the epoch
    stopped  whether it ended as it should, and not by a kill or a crash
    engine   snapshot of windows and sequences
    """

    version: int
    boot_id: str
    moment: int
    stopped: bool
    engine: bytes


class KeepingError(Exception):
    """The state can't be written; the reason is for users."""


class Keeper:
    """Writes whole files and renames them, so that a crash leaves the old state or the new one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def load(self) -> Kept | None:
        """What was kept; None where there is nothing, or nothing of this version."""
        try:
            kept = msgspec.msgpack.decode(self._path.read_bytes(), type=Kept)
        except (OSError, msgspec.DecodeError):
            return None
        return kept if kept.version == VERSION else None

    def save(self, boot_id: str, moment: int, engine: bytes, *, stopped: bool = False) -> None:
        """Raises KeepingError."""
        content = msgspec.msgpack.encode(Kept(VERSION, boot_id, moment, stopped, engine))
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
            raise KeepingError(f"the agent's state can't be kept in {self._path.parent}: {error.strerror}") from None
