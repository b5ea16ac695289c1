"""Two places in the state folder, so that a new sensor watches before the old one ends: an upgrade leaves no moment unwatched.

Each sensor has one of them for itself. One that starts beside another goes on from what that one has written; what the other leaves undelivered when it
ends is delivered by the one that stays.
"""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from watchkeeper_sensor.cluster import kept_feed
from watchkeeper_sensor.cluster.settings import SLOTS
from watchkeeper_sensor.keeping import JOURNAL, NAME, FolderInUseError, own_folder

if TYPE_CHECKING:
    from pathlib import Path

SPOOL = "spool/collector"
LEFT = "left"  # folder of spools that other sensors left


class Slot(NamedTuple):
    """`lock`: descriptor that holds it. `takes_over`: another sensor watches in `other`."""

    folder: Path
    lock: int
    other: Path
    takes_over: bool


def own_slot(state: Path) -> Slot:
    """The place that was used last, where it is free; else the other one. Raises FolderInUseError where both are in use, OSError."""
    newest_first = sorted(SLOTS, key=lambda name: _written_at(state / name), reverse=True)
    refusal: FolderInUseError | None = None
    for number, name in enumerate(newest_first):
        folder, other = state / name, state / newest_first[1 - number]
        try:
            lock = own_folder(folder)
        except FolderInUseError as error:
            refusal = refusal or error
            continue
        if refusal is not None:
            _go_on_from(other, folder)
        return Slot(folder, lock, other, takes_over=refusal is not None)
    raise refusal or FolderInUseError(f"{state} is in use")


def _written_at(folder: Path) -> float:
    try:
        return (folder / NAME).stat().st_mtime
    except OSError:
        return 0.0


def _go_on_from(other: Path, folder: Path) -> None:
    """Windows and policies as the other sensor wrote them last; what an earlier one left here is of no use any more, but for its spool."""
    shutil.rmtree(folder / JOURNAL, ignore_errors=True)
    for name in (NAME, kept_feed.NAME):
        (folder / name).unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # it has not written any yet
            shutil.copy2(other / name, folder / name)


def take_left(slot: Slot) -> list[Path]:
    """Spools that nobody delivers: those of the other place, which come here once nobody has it, and those that came before. Raises OSError.

    The other place is free again when this returns, for the next sensor.
    """
    mine = slot.folder / LEFT
    try:
        lock = own_folder(slot.other) if slot.other.is_dir() else None
    except FolderInUseError:
        lock = None
    if lock is not None:
        try:
            for folder in (slot.other / SPOOL, *sorted((slot.other / LEFT).glob("*"))):
                if folder.is_dir():
                    mine.mkdir(mode=0o700, exist_ok=True)
                    folder.rename(mine / secrets.token_hex(8))
        finally:
            os.close(lock)
    return sorted(mine.glob("*"))
