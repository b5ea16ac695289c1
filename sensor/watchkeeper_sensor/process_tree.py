"""The process tree: which image runs under a process id now. Bounded; safe against reuse of process ids by the start time."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.process import ANCESTORS, Host, Image, image_of_exec, process_unique_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchkeeper_sensor.containers import Containers

GONE = 512  # processes that ended, of which late records may still tell; the oldest go first
PROCESSES = 65_536  # images held at most; the one unused for longest goes first, counted
THREADS = 16  # of a process with user ids of their own that are remembered
TICK_NS = 10_000_000  # /proc says start times in hundredths of a second, so the tree tells processes apart by those


class ProcessTree:
    """Images by process id and start."""

    def __init__(self, host: Host, containers: Containers) -> None:
        self.host = host
        self.containers = containers
        self.evicted = 0
        self.unknown = 0  # records of processes that neither a record nor /proc told of
        self._images: OrderedDict[tuple[int, int], Image] = OrderedDict()
        self._gone: OrderedDict[tuple[int, int], Image] = OrderedDict()
        self._since = time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def __len__(self) -> int:
        return len(self._images)

    def of(self, process_id: int, start: int, cgroup: int) -> Image:
        """The image that runs now; one of a process never seen is read from /proc, or knows nothing but its id."""
        key = (process_id, start // TICK_NS)
        image = self._images.get(key) or self._gone.get(key)
        if image is None:
            image = self._found(process_id, start, cgroup)
            self._put(image)
        elif cgroup and not image.cgroup:
            self._place(image, cgroup)
        return image

    def _place(self, image: Image, cgroup: int) -> None:
        """A process tells its cgroup, which nothing had told before: /proc does not show it from another cgroup namespace, and the record of a move may be lost."""
        image.cgroup, image.container_id = cgroup, self.containers.id_of(cgroup)
        image.forget()
        self.containers.running.joins(image.container_id, (image.process_id, image.start // TICK_NS))
        if image.start < self._since:
            self.containers.running.starts(image.container_id, cgroup)  # before us: no event

    def _found(self, process_id: int, start: int, cgroup: int) -> Image:
        from watchkeeper_sensor.proc import image_from_proc  # noqa: PLC0415 (read seldom)

        image = Image(process_unique_id(self.host.boot_id, process_id, start), process_id, start)
        image.cgroup = cgroup
        image.container_id = self.containers.id_of(cgroup)
        if not image_from_proc(image, self):
            self.unknown += 1
        self.containers.running.joins(image.container_id, (process_id, start // TICK_NS))
        return image

    def _put(self, image: Image) -> None:
        self._images[(image.process_id, image.start // TICK_NS)] = image
        if len(self._images) > PROCESSES:
            self._images.popitem(last=False)
            self.evicted += 1

    def forked(self, record: bytes, parent: Image) -> Any:
        """Take up a child; returns the record's fields."""
        made = records.FORK.read(record)
        child = parent.copied()
        child.process_id, child.start = made.child, made.child_start
        child.id = process_unique_id(self.host.boot_id, made.child, made.child_start)
        child.container_process_id = made.child_in_namespace
        child.namespaces = tuple(records.NAMESPACES.pick(made, "namespaces"))
        child.cgroup = made.child_cgroup
        child.container_id = self.containers.id_of(made.child_cgroup)
        child.lineage = (parent.summary(), *parent.lineage)[:ANCESTORS]
        child.lineage_complete = parent.lineage_complete and len(parent.lineage) < ANCESTORS
        child.container_entry = bool(child.container_id) and (
            made.child_in_namespace == 1 or bool(parent.container_entry and parent.container_id == child.container_id and parent.container_process_id == 1)
        )
        child.arriving = self._arrives(parent, child) or (parent.arriving and parent.container_id == child.container_id)
        child.entered_container = child.arriving
        child.runs_inside = parent.runs_inside and parent.container_id == child.container_id
        self.containers.running.joins(child.container_id, (child.process_id, child.start // TICK_NS))
        self._put(child)
        return made

    def executed(self, record: bytes, before: Image) -> tuple[Image, Any]:
        """Take up the new image of a process; returns it and the record's fields."""
        image = Image(before.id, before.process_id, before.start)
        made = image_of_exec(record, image)
        image.container_id = self.containers.id_of(image.cgroup, entry_process=image.process_id)
        image.previous_exe = before.exe
        image.lineage, image.lineage_complete = before.lineage, before.lineage_complete
        if not image.lineage and made.parent:
            parent = self.of(made.parent, made.parent_start, 0)
            image.lineage = (parent.summary(), *parent.lineage)[:ANCESTORS]
            image.lineage_complete = parent.lineage_complete
        if image.container_id:
            first = made.container_process == 1 or not self.containers.running.has_started(image.container_id)
            came = before.container_id != image.container_id or (bool(image.lineage) and image.lineage[0].container_id != image.container_id)
            image.container_entry = first or bool(before.container_entry)
            image.entered_container = bool(before.entered_container) or (came and not first)
            is_outside = self._is_outside(image)
            image.arriving = image.entered_container and is_outside
            image.enters = image.entered_container and not before.runs_inside
            image.runs_inside = not is_outside
        self._change_container(before, image)
        self._put(image)
        return image, made

    def _arrives(self, before: Image, after: Image) -> bool:
        """Whether a process comes into a container that has started already: by its own cgroup now, and the one that it or its parent had before."""
        into = after.container_id
        return into is not None and into != before.container_id and self.containers.running.has_started(into)

    def _is_outside(self, image: Image) -> bool:
        """Whether a process sees the host's files: a runtime's own stage is in the container's cgroup before it enters the namespaces."""
        return image.namespaces is not None and image.namespaces[0] == self.host.namespaces[0] != 0

    def changed(self, before: Image, fields: Mapping[str, Any]) -> Image:
        """Take up what a process changed about itself: the image that it has from now on."""
        image = before.copied()
        for name, value in fields.items():
            setattr(image, name, value)
        self._put(image)
        return image

    def owned(self, image: Image, uid: int, thread: int) -> Image:
        """The image for a record with another real user id than the image has: nobody told of that change.

        What else changed is read from /proc. Where the process is gone, or its main thread has another id than the thread that acted, the rest is not known.
        """
        found = image.others.get((thread, uid)) if image.others else None
        if found is not None:
            return found
        from watchkeeper_sensor.proc import credentials_from_proc  # noqa: PLC0415 (read seldom)

        held = credentials_from_proc(image)
        other = image.copied()
        other.credentials, other.uid = held if held is not None and held.uid == uid else None, uid
        if (held is None or held.uid == uid) and self._images.get((image.process_id, image.start // TICK_NS)) is image:
            self._put(other)
        else:
            if image.others is None or len(image.others) >= THREADS:
                image.others = {}
            image.others[(thread, uid)] = other
        return other

    def is_gone(self, process_id: int, start: int) -> bool:
        """Whether the end of the process has been told."""
        key = (process_id, start // TICK_NS)
        return key in self._gone and key not in self._images

    def _change_container(self, before: Image, after: Image) -> str | None:
        """A process is in another container than before; returns the one that stopped by that."""
        key = (after.process_id, after.start // TICK_NS)
        running = self.containers.running
        stopped = before.container_id if before.container_id != after.container_id and running.leaves(before.container_id, key) else None
        running.joins(after.container_id, key)
        return stopped

    def moved(self, process_id: int, start: int, cgroup: int) -> str | None:
        """A process was moved to another cgroup; returns the container that stopped by that. One that is not known is taken up when it acts."""
        before = self._images.get((process_id, start // TICK_NS))
        if before is None or before.cgroup == cgroup:
            return None
        image = before.copied()
        image.cgroup = cgroup
        image.container_id = self.containers.id_of(cgroup, entry_process=process_id)
        if image.container_id != before.container_id:
            image.container_entry = False if image.container_id else None
            image.entered_container = image.arriving = self._arrives(before, image)
            image.runs_inside = False
        self._put(image)
        return self._change_container(before, image)

    def exited(self, process_id: int, start: int) -> str | None:
        """A process is gone; returns the container that stopped by that."""
        key = (process_id, start // TICK_NS)
        image = self._images.pop(key, None)
        if image is not None:
            image.forget()
            self._gone[key] = image  # its sockets close after its end
            if len(self._gone) > GONE:
                self._gone.popitem(last=False)
        return image.container_id if image is not None and self.containers.running.leaves(image.container_id, key) else None

    def forget_views(self) -> None:
        """What was made of images for events is made again when it is asked for."""
        for image in self._images.values():
            image.forget()

    def container_of_namespace(self, inode: int) -> str | None:
        """A container with a process in the namespace; None where none is known. Looks through all processes: for rare events."""
        return next((image.container_id for image in self._images.values() if image.container_id and inode in (image.namespaces or ())), None)

    def cgroups(self) -> set[int]:
        """Cgroups of all processes that are known."""
        return {image.cgroup for image in self._images.values()}

    def seed(self) -> int:
        """Take up the processes that run already; returns how many."""
        from watchkeeper_sensor.containers.cgroups import cgroup_key_of, hierarchies  # noqa: PLC0415 (at start only)
        from watchkeeper_sensor.proc import processes  # noqa: PLC0415

        count = 0
        mounted = hierarchies()
        for process_id, start in processes():
            if process_id != os.getpid():
                image = self.of(process_id, start, cgroup_key_of(process_id, mounted))
                self.containers.running.starts(image.container_id, image.cgroup)  # before us: no event
                count += 1
        return count
