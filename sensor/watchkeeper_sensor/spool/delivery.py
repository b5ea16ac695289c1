"""Delivery: what is found goes through a spool of its own to each receiver, until the receiver says that it has it.

A thread takes the oldest entries there, again and again, with growing pauses. Whoever finds things never waits for a receiver, nor for the disk to sync.
Where the spool can't take an entry, it goes to the receiver from memory; only what finds no room there either, or is still there at the end, is lost.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Protocol

from watchkeeper_sensor.spool import LIMIT_BYTES, NotKeptError, Spool, SpoolInUseError
from watchkeeper_sensor.spool.segments import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from watchkeeper_sensor.spool import Kind

PORTION = 200  # entries offered at once
IN_MEMORY = 1000  # entries that wait without a spool
IDLE_SECONDS = 0.5  # between two looks whether something is to be synced or stated
RETRY_SECONDS = 1.0  # between two attempts to use a spool that could not be used
TRIES = 5  # of an entry that the receiver refuses for what it is
NEWS = 100


class NotTakenError(Exception):
    """The receiver took nothing."""

    def __init__(self, reason: str, *, is_refusal: bool = False, pause_seconds: float = 0.0) -> None:
        """`is_refusal`: it does not want this entry, so that trying again is hardly of use; `pause_seconds`: what it asked for."""
        super().__init__(reason)
        self.is_refusal = is_refusal
        self.pause_seconds = pause_seconds


class Receiver(Protocol):
    """Called by one thread only. `name` is for people; `kinds` are what it wants of `detection`, `match` and `loss`."""

    name: str
    kinds: frozenset[str]

    def take(self, entries: Sequence[Entry]) -> int:
        """How many of the entries, from the first on, it has for good now: at least one. Raises NotTakenError."""

    def close(self) -> None: ...


class Delivery:
    """One receiver's spool and thread. `keep` and `tick` belong to the thread that finds things."""

    def __init__(
        self, folder: Path | None, receiver: Receiver, *, limit_bytes: int = LIMIT_BYTES, first_pause: float = 0.5, longest_pause: float = 60.0
    ) -> None:
        """`folder`: of the spool; None for entries in memory alone. Pauses in seconds. Raises SpoolInUseError."""
        self.receiver = receiver
        self.delivered = 0
        self.refused = 0  # entries that the receiver did not want
        self.unkept = 0  # entries that went by memory because the spool could not take them
        self.lost: Counter[str] = Counter()  # kind → entries for which there was no room at all
        self._unstated: Counter[str] = Counter()  # of what was lost, what no spool states yet
        self._folder, self._limit_bytes = folder, limit_bytes
        self._first_pause, self._longest_pause = first_pause, longest_pause
        self._spool: Spool | None = None
        self._memory: deque[Entry] = deque()
        self._in_hand: list[Entry] = []  # taken out of memory, and offered just now
        self._tried: tuple[Entry, int] | None = None  # what was refused last, and how often
        self._lock = threading.Lock()
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._keeping, self._taking = "", ""  # why it can't be kept; why the receiver does not take
        self._news: deque[str] = deque(maxlen=NEWS)
        self._retry_at = 0.0
        self._open()

    def start(self) -> None:
        """Begin to deliver; a thread has the privileges of the one that starts it."""
        self._thread = threading.Thread(target=self._work, name=f"delivery to {self.receiver.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        with self._lock:
            return len(self._memory) + len(self._in_hand) + (len(self._spool) if self._spool is not None else 0)

    @property
    def losses(self) -> dict[tuple[str, str], int]:
        """(cause, kind) → entries that were lost since the start: given up by the spool, or found no room in memory."""
        with self._lock:
            found = Counter(self._spool.lost if self._spool is not None else {})
            found.update({("disk", kind): count for kind, count in self._unstated.items()})
            return dict(found)

    def troubles(self) -> list[str]:
        """What is wrong now, for people."""
        found = [self._keeping, self._taking]
        if self._thread is not None and not self._thread.is_alive() and not self._ending.is_set():
            found.append(f"nothing goes to the {self.receiver.name} any more: its thread has ended")
        return [one for one in found if one]

    def news(self) -> list[str]:
        """What changed since the last call, for people."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def keep(self, kind: Kind, payloads: Iterable[bytes], *, wakes: bool = True) -> None:
        """Take entries; they are on the disk, or at least in memory, when this returns. `wakes`: begin at once to deliver them."""
        if kind not in self.receiver.kinds:
            return
        with self._lock:
            for payload in payloads:
                refusal = self._put(kind, payload)
                if refusal is None:
                    continue
                self.unkept += self._folder is not None
                self._memory.append(Entry(0, kind, payload))
                if len(self._memory) > IN_MEMORY:
                    self._lose(self._memory.popleft())
        if wakes:
            self._wake.set()

    def wake(self) -> None:
        """Begin to deliver what was kept."""
        self._wake.set()

    def tick(self) -> None:
        """Called now and then: what waits in memory goes into the spool as soon as that can be used."""
        now = time.monotonic()
        if self._folder is None or now < self._retry_at or not (self._keeping or self._memory):
            return
        self._retry_at = now + RETRY_SECONDS
        with self._lock:
            if self._spool is None:
                self._open()
            for _ in range(len(self._memory)):
                entry = self._memory.popleft()
                refusal = self._put(entry.kind, entry.payload)
                if refusal is not None:
                    self._memory.append(entry)
                    if refusal.cause == "disk":
                        return
            if self._spool is not None and self._keeping:
                self._is_kept(self._spool.probe())

    def close(self, seconds: float = 5.0) -> None:
        """Deliver what waits, for so long at most; what is in the spool then is for the next start."""
        self._ending.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)
        else:
            self.receiver.close()
        with self._lock:
            for entry in (*self._in_hand, *self._memory):
                self._lose(entry)
            if lost := len(self._in_hand) + len(self._memory):
                self._news.append(f"{lost} for the {self.receiver.name} are lost: neither it nor the disk took them")
            self._in_hand.clear()
            self._memory.clear()
            if self._spool is not None:
                left = len(self._spool)
                self._spool.close()
                self._spool = None
                if left:
                    self._news.append(f"{left} for the {self.receiver.name} wait in {self._folder} for the next start")

    def _open(self) -> None:
        if self._folder is None:
            return
        try:
            self._spool = Spool(self._folder, limit_bytes=self._limit_bytes)
        except OSError as error:
            self._is_kept(error.strerror or str(error))
            return
        for kind, count in self._unstated.items():
            self._spool.lose("disk", kind, count)  # type: ignore[arg-type]
        self._unstated.clear()
        self._is_kept("")

    def _put(self, kind: str, payload: bytes) -> NotKeptError | None:
        """Why the spool did not take it."""
        if self._spool is None:
            return NotKeptError("disk", self._keeping)
        try:
            self._spool.put(kind, payload)  # type: ignore[arg-type]
        except NotKeptError as refusal:
            if refusal.cause == "disk":
                self._is_kept(str(refusal))
            return refusal
        self._is_kept("")
        return None

    def _is_kept(self, reason: str) -> None:
        """Note whether entries can be kept on disk; news is what changed."""
        text = f"what is found can't be kept on disk for the {self.receiver.name} ({self._folder}: {reason})" if reason else ""
        if bool(text) != bool(self._keeping):
            self._news.append(
                f"{text}; it is shown, and goes there from memory" if text else f"what is found is kept on disk for the {self.receiver.name} again"
            )
        self._keeping = text

    def _is_taken(self, reason: str) -> None:
        text = f"the {self.receiver.name} does not take what is found: {reason}" if reason else ""
        if text and text != self._taking:
            self._news.append(f"{text}; it is tried again")
        elif not text and self._taking:
            self._news.append(f"the {self.receiver.name} takes what is found again")
        self._taking = text

    def _lose(self, entry: Entry) -> None:
        self.lost[entry.kind] += 1
        if self._spool is not None:
            self._spool.lose("disk", entry.kind)  # type: ignore[arg-type]
        else:
            self._unstated[entry.kind] += 1

    def _work(self) -> None:
        pause = self._first_pause
        try:
            while True:
                self._sync()
                entries = self._next()
                if not entries:
                    if self._ending.is_set():
                        return
                    self._wake.wait(IDLE_SECONDS)
                    self._wake.clear()
                    continue
                asked = self._offer(entries)
                if asked is None:
                    pause = self._first_pause
                elif self._ending.wait(max(asked, pause * random.uniform(0.5, 1.0))):  # noqa: S311 (spreads the attempts of many agents)
                    return
                else:
                    pause = min(pause * 2, self._longest_pause)
        finally:
            self.receiver.close()

    def _sync(self) -> None:
        with self._lock:
            syncing = self._spool.syncing() if self._spool is not None else None
        if syncing is not None:
            reason = syncing.run()
            with self._lock:
                if self._spool is not None:
                    self._spool.synced(syncing, reason)

    def _next(self) -> list[Entry]:
        """The oldest in the spool; else those in memory, which leave it."""
        with self._lock:
            if self._spool is not None:
                try:
                    if entries := self._spool.read(PORTION):
                        return entries
                except OSError as error:
                    self._is_taken(f"its spool can't be read: {error.strerror}")
            self._in_hand = [self._memory.popleft() for _ in range(min(PORTION, len(self._memory)))]
            return self._in_hand.copy()

    def _offer(self, entries: list[Entry]) -> float | None:
        """Seconds that the receiver wants to be left alone, when it took nothing; None when it took some."""
        try:
            taken = self.receiver.take(entries)
        except NotTakenError as error:
            is_given_up = error.is_refusal and self._is_given_up(entries[0])
            self._is_taken("" if is_given_up else str(error))
            if is_given_up:
                self.refused += 1
                self._news.append(f"the {self.receiver.name} refused an entry {TRIES} times and does not get it: {error} ({self.refused} so far)")
            self._confirm(entries, 1 if is_given_up else 0)
            return None if is_given_up else min(error.pause_seconds, self._longest_pause)
        self.delivered += taken
        self._is_taken("")
        self._confirm(entries, taken)
        return None

    def _is_given_up(self, entry: Entry) -> bool:
        tries = self._tried[1] + 1 if self._tried is not None and self._tried[0] == entry else 1
        self._tried = (entry, tries)
        return tries >= TRIES

    def _confirm(self, entries: list[Entry], taken: int) -> None:
        """Forget what was taken; what was taken out of memory in vain goes back."""
        with self._lock:
            if entries[0].number:
                if taken and self._spool is not None:
                    self._spool.acknowledge(entries[taken - 1].number)
            else:
                self._memory.extendleft(reversed(self._in_hand[taken:]))
                self._in_hand = []


__all__ = ["Delivery", "NotTakenError", "Receiver", "SpoolInUseError"]
