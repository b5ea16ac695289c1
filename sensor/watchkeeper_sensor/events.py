"""Records of several rings → events in the order in which things happened."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from watchkeeper_sensor.decoding import CHANGES, EVENTS, credentials
from watchkeeper_sensor.decoding.container import ATTACH, CGROUP, MKDIR, RMDIR, STARTED, STOPPED, container_event
from watchkeeper_sensor.decoding.isolation import cloned_event
from watchkeeper_sensor.decoding.kernel_event import KernelEvent
from watchkeeper_sensor.kernel.records import HEADER, NUMBERS, text
from watchkeeper_sensor.process_tree import ProcessTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchkeeper_sensor.kernel.ring import Ring
    from watchkeeper_sensor.process import Image
    from watchkeeper_sensor.surroundings import Surroundings

TAKEN = 4_000  # records of a ring at once: some 600 bytes each until they are judged
TIME = 4  # where the header holds the time
THREAD, UID = 8, 11
EXEC, FORK, EXIT = 1, 3, 4
OTHER_CREDENTIALS = frozenset(
    {EXEC, *(NUMBERS[kind] for kind in credentials.KINDS), *(NUMBERS[kind] for kind in NUMBERS if kind.startswith(("network.", "dns.")))}
)
"""Kinds whose records say themselves what the process holds from then on, and those that say who made the socket."""
PLACED = frozenset({EXEC, FORK, EXIT, *CHANGES})
"""Kinds that change the process tree."""

_unpack = HEADER.unpack_from
_new = KernelEvent.new


class EventStream:
    """Decodes records and keeps the process tree."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.around = surroundings
        self.tree = surroundings.processes = ProcessTree(surroundings.host, surroundings.containers)
        self.unreadable = 0
        self.complete_until = 0  # nanoseconds since boot: what happened before has been given
        self._held: deque[tuple[tuple[Any, ...], bytes]] = deque()
        self._also: deque[KernelEvent] = deque()  # what the last record means besides
        self._number = 0

    def take(self, rings: Sequence[Ring]) -> Iterator[KernelEvent]:
        """Events of what the rings hold now, in order.

        A ring may hold records that are older than some already taken from another. So: note the time, drain all rings, sort, and hold back what is
        later than the noted time; it goes with the next round.
        """
        until = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        taken = list(self._held)
        full = False
        for ring in rings:
            drained = ring.take(TAKEN)
            full = full or len(drained) == TAKEN
            taken += [(_unpack(record), record) for record in drained]
        taken.sort(key=_time_of)
        if full:  # a ring was not emptied: the rest of it is older than what others gave
            until = min(until, self._complete_until(rings, taken))
        self._held.clear()
        for header, record in taken:
            if header[TIME] > until:
                self._held.append((header, record))
            else:
                event = self.event(header, record)
                if event is not None:
                    yield event
                while self._also:
                    yield self._also.popleft()
        self.complete_until = until
        if self.around.hashes is not None:
            self.around.hashes.settle()

    @staticmethod
    def _complete_until(rings: Sequence[Ring], taken: list[tuple[tuple[Any, ...], bytes]]) -> int:
        """Time of the newest record that a ring which was not emptied gave: everything older has been taken."""
        return min((ring.newest_taken for ring in rings if ring.waiting_bytes), default=taken[-1][0][TIME] if taken else 0)

    def event(self, header: tuple[Any, ...], record: bytes) -> KernelEvent | None:
        """The event that a record is; None for a kind that this agent does not know, counted, and for what tells nothing new."""
        number = header[0]
        cls = EVENTS.get(number)
        if cls is None:
            self._take_cgroup(header, record)
            return None
        image = self.tree.of(header[7], header[6], header[5])
        if (image.uid if image.credentials is None else image.credentials.uid) != header[UID] and not _is_of_another(number, header):
            image = self.tree.owned(image, header[UID], header[THREAD])
        event = _new(cls)
        event.record, event.header, event.around = record, header, self.around
        self._number = event.number = self._number + 1
        if number in PLACED:
            try:
                placed = self._placed(event, header, record, image)
            except ValueError:
                self.unreadable += 1
                return None
            if placed is None:
                return None
            image = placed
        event.image = image
        return event

    def _placed(self, event: KernelEvent, header: tuple[Any, ...], record: bytes, image: Image) -> Image | None:
        """Take what a record says of the process tree into it; returns the image of the process from then on, None for what tells nothing new."""
        number = header[0]
        if number == EXEC:
            return self._executed(event, header, record, image)
        if number == FORK:
            self.tree.forked(record, image)
            cloned = cloned_event(header, record, self.around, image)
            if cloned is not None:
                self._also.append(self._numbered(cloned))
        elif number == EXIT:
            if self.tree.is_gone(header[7], header[6]):  # two threads that ended at the same time both took themselves for the last one
                return None
            self._stopped(header, record, image, self.tree.exited(header[7], header[6]))
        else:
            event.before = image
            fields = CHANGES[number](header, record, image)
            if fields is None:
                return None
            return self.tree.changed(image, fields) if fields else image
        return image

    def _executed(self, event: KernelEvent, header: tuple[Any, ...], record: bytes, before: Image) -> Image:
        if before.credentials is not None and before.credentials.uid != header[UID]:  # an exec keeps the real user id: what else the process held is not known
            before = before.copied()
            before.credentials, before.uid = None, header[UID]
        event.before = before
        image, _ = self.tree.executed(record, before)
        if self.around.hashes is not None:
            self.around.hashes.want(image.exe_identity, _places(image, self.around), partial(_set_hash, image))
        if image.container_id is not None and self.around.containers.running.starts(image.container_id, image.cgroup):
            self._started(header, record, image, image.container_id)
        return image

    def _take_cgroup(self, header: tuple[Any, ...], record: bytes) -> None:
        """Learn from the record of a cgroup; one of a kind that this agent does not know is counted."""
        number, containers = header[0], self.around.containers
        if number not in (MKDIR, ATTACH, RMDIR) or len(record) < CGROUP.size:
            self.unreadable += 1
            return
        made = CGROUP.read(record)
        if number == MKDIR:
            containers.made(made.key, text(record, made.path) or "")
        elif number == ATTACH:
            containers.met(made.key, text(record, made.path) or "")
            stopped = self.tree.moved(made.process, made.start, made.key)
            self._stopped(header, record, self.tree.of(header[7], header[6], header[5]), stopped)
        else:
            stopped = containers.removed(made.key)
            if stopped is not None and containers.running.removed(stopped, made.key):
                self._stopped(header, record, self.tree.of(header[7], header[6], header[5]), stopped)

    def _started(self, header: tuple[Any, ...], record: bytes, image: Image, container_id: str) -> None:
        self.around.containers.started(container_id, header[TIME] + self.around.boot_time_ns)
        self._also.append(self._numbered(container_event(STARTED, header, record, self.around, image, container_id)))

    def _stopped(self, header: tuple[Any, ...], record: bytes, image: Image, container_id: str | None) -> None:
        if container_id is not None:
            self._also.append(self._numbered(container_event(STOPPED, header, record, self.around, image, container_id)))

    def _numbered(self, event: KernelEvent) -> KernelEvent:
        self._number = event.number = self._number + 1
        return event


def _is_of_another(number: int, header: tuple[Any, ...]) -> bool:
    """Whether the record's user id may be another than the process's: the end of a process is told by its last thread, which may have had its own."""
    return number in OTHER_CREDENTIALS or (number == EXIT and header[THREAD] != header[7])


def _places(image: Image, around: Surroundings) -> list[str]:
    """Where the program of a process may be opened; the hash counts for the same file alone, so a wrong place gives none."""
    found = [f"/proc/{image.process_id}/exe"]
    if image.exe and image.container_id is None:
        found.append(f"{around.root}/{image.exe}")
    return found


def _set_hash(image: Image, digest: str | None) -> None:
    """The object `process` that events hold already gets the late field."""
    if image.view_of is not None:
        image.view_of.exe_hash = digest


def _time_of(taken: tuple[tuple[Any, ...], bytes]) -> int:
    time_: int = taken[0][TIME]
    return time_
