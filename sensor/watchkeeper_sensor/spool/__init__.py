"""The spool: detections, matches and lost intervals on this node's disk, until the receiver has confirmed them.

Every entry that `append` took is read again and again until it is acknowledged: delivery is at least once, and receivers tell repetitions by an id of
their own in the payload. What the spool loses, because it is full, the disk is, or a file was damaged, it counts and states as an entry of kind `loss`.
A killed agent loses nothing that `append` took; a power cut loses what was not synced, at most `sync_seconds` of it.

One process, one thread: the folder is locked.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Self

import msgspec

from watchkeeper_sensor.spool.losses import LOSS, Cause, Loss, gaps, loss_of, stated_in, without
from watchkeeper_sensor.spool.segments import KINDS, NUMBERS, PAYLOAD_BYTES, SUFFIX, Entry, Segment
from watchkeeper_sensor.spool.state import Owed, StateFile
from watchkeeper_sensor.spool.syncing import Syncing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Kind = Literal["detection", "match", "loss"]

LIMIT_BYTES = 256 << 20
PROBE_BYTES = 16 << 10
SEGMENTS = 16  # that a full spool consists of at least: dropping one loses this part of it
GAPS = 16  # stated one by one after damage; the rest together


class SpoolInUseError(RuntimeError):
    """Another process has this folder."""


class NotKeptError(Exception):
    """The spool could not take an entry; nothing was counted yet."""

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause


class Spool:
    """Entries in a folder."""

    def __init__(self, folder: Path, *, limit_bytes: int = LIMIT_BYTES, sync_seconds: float = 1.0, clock: Callable[[], int] = time.time_ns) -> None:
        """`limit_bytes`: of all entries; `sync_seconds`: 0 syncs at each append; `clock`: nanoseconds since the epoch. Raises OSError, SpoolInUseError."""
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.sync_seconds = sync_seconds
        self.lost: Counter[tuple[str, str]] = Counter()  # (cause, kind) → entries, since the start of this process
        self.sync_failed = 0
        self.remove_failed = 0
        self._clock = clock
        self._segment_bytes = max(limit_bytes // SEGMENTS, 1)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise SpoolInUseError(f"{folder} is in use by another process") from None
        self._file = StateFile(folder / "state")
        self._state = self._file.read()
        self._segments: list[Segment] = []
        self._active: Segment | None = None
        self._synced_at = clock()
        self._changes = self._synced_changes = 0  # counted, to know whether something is not on the disk itself yet
        self._recover()

    @property
    def acknowledged(self) -> int:
        """Number up to which everything was confirmed."""
        return self._state.acknowledged

    @property
    def last(self) -> int:
        """Number of the newest entry; 0 before the first."""
        return max(self._segments[-1].last if self._segments else 0, self._state.acknowledged, self._state.dropped, self._state.synced)

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def __len__(self) -> int:
        """Entries that wait for being acknowledged."""
        return sum(len(self._waiting(segment)) for segment in self._segments)

    def append(self, kind: Kind, payload: bytes) -> int | None:
        """Number of the entry; None when it could not be kept, which is counted and will be stated."""
        try:
            return self.put(kind, payload)
        except NotKeptError as refusal:
            self.lose(refusal.cause, kind)
            return None

    def put(self, kind: Kind, payload: bytes) -> int:
        """Number of the entry. Raises NotKeptError; who can't bring the entry to the receiver in another way calls `lose`."""
        most = min(PAYLOAD_BYTES, self._segment_bytes)
        if len(payload) > most:
            raise NotKeptError("too_long", f"{len(payload)} bytes, {most} at most")
        self._state_losses()
        self._make_room(len(payload))
        try:
            number = self._append(NUMBERS[kind], payload)
        except OSError as error:
            raise NotKeptError("disk", error.strerror or str(error)) from None
        if self.sync_seconds == 0:
            self.sync()
        return number

    def probe(self) -> str:
        """Why the disk would not take an entry now; empty when it would."""
        path = self.folder / "probe"
        try:
            path.write_bytes(bytes(PROBE_BYTES))
            path.unlink()
        except OSError as error:
            with suppress(OSError):
                path.unlink()
            return error.strerror or str(error)
        return ""

    def lose(self, cause: Cause, kind: Kind, count: int = 1) -> None:
        """Entries were lost before the spool had them: count them, and state it as soon as there is room."""
        self._owe(cause, Counter({kind: count}))

    def read(self, most: int = 1000, *, after: int | None = None) -> list[Entry]:
        """Oldest entries above `after` (above what is acknowledged, when not given). Raises OSError."""
        found: list[Entry] = []
        start = self.acknowledged if after is None else max(after, self.acknowledged)
        for segment in self._segments:
            if segment.last > start and len(found) < most:
                found += segment.entries(start, most - len(found))
        damaged = [entry.number for entry in found if entry.kind == "damaged"]
        if damaged:
            self._lose("damaged", Counter({"damaged": len(damaged)}), damaged[0], damaged[-1])
        return [entry for entry in found if entry.kind != "damaged"]

    def acknowledge(self, number: int) -> None:
        """The receiver has everything up to this entry. Raises ValueError for one that there is not."""
        if number > self.last:
            raise ValueError(f"entry {number} was acknowledged, the newest is {self.last}")
        if number <= self.acknowledged:
            return
        self._state.acknowledged = number
        self._file.write(self._state)
        self._changes += 1
        while self._segments and self._segments[0].last <= number:
            self._remove(self._segments[0])

    def tick(self) -> None:
        """Called now and then: syncs when it is time, and states what is owed when there is room again."""
        syncing = self.syncing()
        if syncing is not None:
            self.synced(syncing, syncing.run())

    def syncing(self) -> Syncing | None:
        """What is to be brought to the disk itself now, when it is time: `run` it without holding up those who append, then call `synced`."""
        self._state_losses()
        if self._changes == self._synced_changes or abs(self._clock() - self._synced_at) < self.sync_seconds * 1e9:
            return None
        return self._syncing()

    def synced(self, syncing: Syncing, reason: str) -> None:
        """`reason` is what `run` returned."""
        if reason:
            self.sync_failed += 1
            return
        self._state.synced = max(self._state.synced, syncing.last)
        self._file.write(self._state)
        self._synced_changes = syncing.changes

    def sync(self) -> None:
        """Bring everything to the disk itself; a disk that refuses is counted."""
        syncing = self._syncing()
        self.synced(syncing, syncing.run())

    def _syncing(self) -> Syncing:
        self._synced_at = self._clock()
        files = [self._active.descriptor if self._active else None, self._file.descriptor]
        return Syncing(self.last, self._changes, [os.dup(number) for number in files if number is not None], os.dup(self._lock))

    def close(self) -> None:
        self.sync()
        for segment in self._segments:
            segment.close()
        self._file.close()
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, kind: int, payload: bytes) -> int:
        """Raises OSError."""
        if self._active is not None and self._active.kinds and self._active.size + len(payload) > self._segment_bytes:
            self.sync()
            self._active.close()
            self._active = None
        if self._active is None:
            made = Segment.create(self.folder, self.last + 1)
            self._segments.append(made)
            self._active = made
        self._active.append(kind, payload)
        self._changes += 1
        return self._active.last

    def _waiting(self, segment: Segment) -> bytearray:
        """Kinds of its entries that are not acknowledged."""
        return segment.kinds[max(self.acknowledged + 1 - segment.first, 0) :]

    def _make_room(self, payload_bytes: int) -> None:
        while len(self._segments) > 1 and self.size_bytes + payload_bytes + self._segment_bytes // 4 > self.limit_bytes:
            self._drop(self._segments[0])

    def _drop(self, segment: Segment) -> None:
        """The loss is written down first: a crash in between states it twice, never not at all."""
        counts = Counter(KINDS[kind] for kind in self._waiting(segment) if kind not in (0, LOSS))
        counts.update(self._losses_in(segment))
        if counts:
            self._lose("spool_full", counts, self.acknowledged + 1, segment.last)
        self._state.dropped = segment.last
        self._file.write(self._state)
        self._remove(segment)

    def _losses_in(self, segment: Segment) -> Counter[str]:
        """What the losses in a segment count, the agent's own as one each."""
        counts: Counter[str] = Counter()
        waiting = self._waiting(segment).count(LOSS)
        try:
            for entry in segment.entries(self.acknowledged, len(segment.kinds)) if waiting else ():
                loss = loss_of(entry.payload) if entry.kind == "loss" else None
                counts.update(loss.counts if loss else {"loss": 1} if entry.kind == "loss" else {})
        except OSError:
            counts["loss"] += waiting
        return counts

    def _remove(self, segment: Segment) -> None:
        if segment is self._active:
            self._active = None
        self._segments.remove(segment)
        try:
            segment.remove()
        except OSError:  # it will be found again at the next start, confirmed or dropped
            self.remove_failed += 1

    def _lose(self, cause: Cause, counts: Counter[str], first: int, last: int) -> None:
        now = self._clock()
        try:
            self._append(LOSS, msgspec.json.encode(Loss(cause, dict(counts), now, now, first, last)))
        except OSError:
            self._owe(cause, counts)
        else:
            self._count(cause, counts)

    def _count(self, cause: str, counts: Counter[str]) -> None:
        self.lost.update({(cause, kind): count for kind, count in counts.items()})

    def _owe(self, cause: Cause, counts: Counter[str]) -> None:
        """Remember a loss until it can be stated."""
        self._count(cause, counts)
        now = self._clock()
        owed = self._state.owed.setdefault(cause, Owed(since=now))
        owed.until = now
        owed.counts = dict(Counter(owed.counts) + counts)
        self._file.write(self._state)
        self._changes += 1

    def _state_losses(self) -> None:
        for cause, owed in list(self._state.owed.items()):
            try:
                self._append(LOSS, msgspec.json.encode({"cause": cause, "counts": owed.counts, "since": owed.since, "until": owed.until}))
            except OSError:
                return
            del self._state.owed[cause]
            self._file.write(self._state)

    def _recover(self) -> None:
        paths = sorted(path for path in self.folder.iterdir() if path.name.endswith(SUFFIX) and path.name.removesuffix(SUFFIX).isdecimal())
        self._segments = [Segment.found(path) for path in paths]
        floor = max(self.acknowledged, self._state.dropped)
        stated = sorted(interval for segment in self._segments for interval in stated_in(segment))
        missing = [part for gap in gaps(self._segments, floor + 1, self.last) for part in without(gap, stated)]
        for segment in list(self._segments):
            if segment.last <= floor or not segment.kinds:
                self._remove(segment)
        if len(missing) > GAPS:
            missing[GAPS:] = [(missing[GAPS][0], missing[-1][1])]
        for first, last in missing:
            self._lose("damaged", Counter({"damaged": last - first + 1}), first, last)
