"""SHA-256 of files that were executed or written, away from the hot path: one thread, a bounded queue, results kept by the file's identity.

A file is opened by where it was seen and counts only when it still is the one that was seen: same inode, change time and size, before and after it
was read. What can't be had is absent, never a guess.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import Counter, OrderedDict
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from watchkeeper_sensor.kernel import records

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Done = Callable[[str | None], None]

MOST_BYTES = 64 << 20  # a longer file is not hashed: 0.15 s of one processor
QUEUE = 1024  # files that wait for the thread
WAITING = 8192  # who waits for results
CACHED = 16_384  # results
EXPLAINED = 4096  # files without one, and why
CHUNK_BYTES = 1 << 20
NICENESS = 10
REMOTE = frozenset({0x65735546, 0x6969, 0xFF534D42, 0xFE534D42, 0x01021997})
"""FUSE, NFS, CIFS, SMB2, 9p: whoever serves these files may never answer a read."""


class FileKey(NamedTuple):
    """A file in one state of its content. The change time can't be set by a user, so what was written since has another key."""

    device: int
    inode: int
    changed_at: int  # nanoseconds since the epoch
    size: int


class Hashes:
    """Owned by one thread, which asks and settles; the reading is done by another, started with the first question."""

    def __init__(self, *, most_bytes: int = MOST_BYTES, queue: int = QUEUE, read: Callable[[str, FileKey], tuple[str | None, str]] | None = None) -> None:
        """`read`: gives something else of a file than its hash (see `hash_of`)."""
        self._read = read or hash_of
        self.missed: Counter[str] = Counter()  # why there is no hash: `queue_full`, `too_long`, `gone`, `changed`, `remote`, `unknown` → files
        self.hashed = 0
        self._most_bytes = most_bytes
        self._wanted: Queue[tuple[FileKey, Sequence[str]] | None] = Queue(queue)
        self._ready: Queue[tuple[FileKey, str | None, str]] = Queue()  # as long as _wanted and one
        self._known: OrderedDict[FileKey, str | None] = OrderedDict()
        self._why: OrderedDict[FileKey, str] = OrderedDict()
        self._waiting: dict[FileKey, list[Done]] = {}
        self._waiting_count = 0
        self._thread: threading.Thread | None = None

    def why(self, identity: Any) -> str | None:
        """Why the file had no hash when it was asked for last; None where that is not known."""
        return self._why.get(key_of(identity))

    def known(self, identity: Any) -> str | None:
        """The hash of a file (a FILE_IDENTITY tuple), where it has been found."""
        return self._known.get(key_of(identity)) if identity is not None else None

    def want(self, identity: Any, paths: Sequence[str], done: Done) -> None:
        """Call `done` with the hash of a file, or None where it can't be had: at once when that is known, else by `settle`. `paths`: where it may be opened."""
        if identity is None or not identity.flags & records.KNOWN:
            self.missed["unknown"] += 1
            done(None)
            return
        key = key_of(identity)
        if key in self._known:
            self._known.move_to_end(key)
            done(self._known[key])
        elif key.size > self._most_bytes or identity.magic in REMOTE:
            self._miss(key, "too_long" if key.size > self._most_bytes else "remote", done)
        elif self._waiting_count >= WAITING:
            self._miss(key, "queue_full", done)
        elif key in self._waiting:
            self._waiting[key].append(done)
            self._waiting_count += 1
        else:
            self._ask(key, paths, done)

    def _ask(self, key: FileKey, paths: Sequence[str], done: Done) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hashing", daemon=True)
            self._thread.start()
        try:
            self._wanted.put_nowait((key, paths))
        except Full:
            self._miss(key, "queue_full", done)
            return
        self._waiting[key] = [done]
        self._waiting_count += 1

    def _miss(self, key: FileKey, why: str, done: Done) -> None:
        self._explain(key, why)
        done(None)

    def _explain(self, key: FileKey, why: str) -> None:
        self.missed[why] += 1
        self._why[key] = why
        self._why.move_to_end(key)
        if len(self._why) > EXPLAINED:
            self._why.popitem(last=False)

    def settle(self) -> int:
        """Hand out the results that are there; returns how many files they are of."""
        count = 0
        while True:
            try:
                key, digest, why = self._ready.get_nowait()
            except Empty:
                return count
            count += 1
            if digest is None:
                self._explain(key, why)
            else:
                self.hashed += 1
                self._known[key] = digest
                if len(self._known) > CACHED:
                    self._known.popitem(last=False)
            waiting = self._waiting.pop(key)
            self._waiting_count -= len(waiting)
            for done in waiting:
                done(digest)

    def close(self) -> None:
        """End the thread after the file that it reads; what waits is dropped."""
        if self._thread is None:
            return
        while self._thread.is_alive():
            try:
                self._wanted.put_nowait(None)
                break
            except Full:
                self._wanted.get_nowait()
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        """The other thread: gives way to everything else on the host."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (wanted := self._wanted.get()) is not None:
            key, paths = wanted
            digest, why = None, "gone"
            for path in paths:
                digest, why = self._read(path, key)
                if digest is not None:
                    break
            self._ready.put((key, digest, why))


def key_of(identity: Any) -> FileKey:
    return FileKey(identity.device, identity.inode, identity.changed_at, identity.size)


def opened(path: str, key: FileKey) -> int | None:
    """Descriptor of the file by this path, if it is the one that `key` names; None for another one. Nothing else is opened, for opening may be an act.

    Raises OSError.
    """
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC) if is_same(place, key) else None
    finally:
        os.close(place)


def hash_of(path: str, key: FileKey) -> tuple[str | None, str]:
    """(SHA-256 in hex, empty text) of a file that is still the one that `key` names; (None, why not) otherwise. Devices are not compared: an overlay's differ."""
    try:
        number = opened(path, key)
    except OSError:
        return None, "gone"
    if number is None:
        return None, "changed"
    with open(number, "rb", buffering=0) as file:  # noqa: PTH123 (a descriptor)
        found, left = hashlib.sha256(), key.size
        try:
            while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
                found.update(chunk)
                left -= len(chunk)
        except OSError:
            return None, "gone"
        return (found.hexdigest(), "") if left == 0 and is_same(number, key) else (None, "changed")


def is_same(number: int, key: FileKey) -> bool:
    found = os.fstat(number)
    return stat.S_ISREG(found.st_mode) and (found.st_ino, found.st_size, found.st_ctime_ns) == (key.inode, key.size, key.changed_at)
