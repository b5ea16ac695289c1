"""Audit log files of self-managed control planes, followed where the collector mounts them. What was judged is stored before its place is noted."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import msgspec

from watchkeeper_operator.store.engine import StoreError
from watchkeeper_operator.transports.following import Following, Lines, Positions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from watchkeeper_operator.collector.audit_receiving import AuditReceiver, Batch

LOOK_SECONDS = 0.25
RETRY_SECONDS = 5.0

log = logging.getLogger(__name__)
_decode = msgspec.json.Decoder(Positions).decode


async def follow(receiver: AuditReceiver, source: str, patterns: Sequence[str], notes: Path, *, retry_seconds: float = RETRY_SECONDS) -> None:
    """Until cancelled. `source`: name of the LogSource; `notes`: file that says how far was read, for the next process."""
    await receiver.has_policies.wait()
    batch = receiver.batch(source)
    following = await asyncio.to_thread(Following, patterns, noted(notes))
    told: dict[str, str] = {}
    try:
        while True:
            if await _take(following, batch, retry_seconds):
                await _stored(batch, retry_seconds)
                await asyncio.to_thread(note, notes, following.positions)
            if following.unreadable != told:
                told = dict(following.unreadable)
                log.warning("audit files that can't be read: %s", told)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        following.close()


async def _take(following: Following, batch: Batch, retry_seconds: float) -> bool:
    lines, found = following.read(), False
    while (next_lines := await asyncio.to_thread(_next, lines)) is not None:
        found = True
        try:
            await batch.feed(next_lines.content)
        except StoreError:
            await _stored(batch, retry_seconds)
    return found


def _next(lines: Iterator[Lines]) -> Lines | None:
    return next(lines, None)


async def _stored(batch: Batch, retry_seconds: float) -> None:
    """A store that can't be written to is waited for: nothing is noted as read before."""
    while True:
        try:
            await batch.store()
        except StoreError as fault:
            log.warning("what audit files gave: %s", fault)
            await asyncio.sleep(retry_seconds)
        else:
            return


def noted(notes: Path) -> Positions | None:
    """None where no process was here before, or its notes are damaged: then old lines are passed over."""
    try:
        return _decode(notes.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def note(notes: Path, positions: Positions) -> None:
    """Whole, by rename. Raises OSError."""
    beside = notes.with_name(f".{notes.name}.new")
    with beside.open("wb") as file:
        file.write(msgspec.json.encode(positions))
        file.flush()
        os.fsync(file.fileno())
    beside.rename(notes)
