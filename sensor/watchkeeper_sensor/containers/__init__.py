"""Containers: from the key of a cgroup to who runs in it.

`Containers.id_of` is asked for each new process and must be quick; `of` gives what rules read. `running` says when containers start and stop.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.containers.running import Running
from watchkeeper_sensor.containers.runtimes import Container, Runtimes
from watchkeeper_sensor.late.source import LATE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_sensor.containers.cgroups import Cgroups
    from watchkeeper_sensor.late.feed import Feed

CONTAINERS = 2048  # described at most; the one found first goes first, and is looked for again when it is asked for
GONE = 256  # containers whose cgroup was removed and that are still described, for events on their way
RETRY_SECONDS = 1.0  # between two looks for a container that no file describes
SOON_SECONDS = 0.02  # between two looks for one that rules wait for

_Container: Any = record_type("container")
_Pod: Any = record_type("pod")
HOST = Container(_Container(), _Pod())


class Containers:
    """What is known of the containers of this host."""

    def __init__(self, cgroups: Cgroups, runtimes: Runtimes | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.running = Running()
        self.runtimes = runtimes or Runtimes()
        self.unknown_keys = 0  # questions for a cgroup that was not found: the process counts as the host's until it is
        self._cgroups = cgroups
        self._clock = clock
        self._known: OrderedDict[str, Container] = OrderedDict()
        self._retry_at: dict[str, float] = {}  # of those in _known that are not resolved
        self._looked_at: dict[str, float] = {}
        self._since: dict[str, float] = {}  # when each of these was looked for at first
        self.feed: Feed | None = None  # of what the cluster knows of pods
        self._fed: dict[str, int] = {}  # version of the feed that was asked for each
        self._pod_uids: OrderedDict[str, str] = OrderedDict()
        self._gone: OrderedDict[str, None] = OrderedDict()

    def id_of(self, key: int, entry_process: int | None = None) -> str | None:
        """Container that a cgroup belongs to; None for the host, and for a cgroup that is not known (see `is_unknown`). `entry_process` runs in it now."""
        if not key:
            return None
        place = self._cgroups.place_of(key, entry_process)
        if place is None:
            self.unknown_keys += 1
            return None
        if place.container_id and place.pod_uid and place.container_id not in self._pod_uids:
            self._pod_uids[place.container_id] = place.pod_uid
            if len(self._pod_uids) > CONTAINERS:
                self._pod_uids.popitem(last=False)
        return place.container_id

    @property
    def unnamed(self) -> int:
        """Containers that were met and that no runtime's file describes: their name, image and pod are not known."""
        return len(self._retry_at)

    def is_unknown(self, key: int) -> bool:
        """Whether nothing has told yet what a cgroup is. The root's (0) is the host's."""
        return bool(key) and not self._cgroups.is_known(key)

    def made(self, key: int, path: str) -> None:
        """A cgroup was made: read what its runtime says while that lies there, for the container may be gone soon."""
        place = self._cgroups.told(key, path)
        if place.is_top and place.container_id is not None:
            self.id_of(key)
            self._gone.pop(place.container_id, None)
            if place.container_id not in self._known:
                self.of(place.container_id)

    def met(self, key: int, path: str) -> None:
        """A cgroup that may be older than we are has this path."""
        if not self._cgroups.is_known(key):
            self._cgroups.told(key, path)

    def started(self, container_id: str, moment: int) -> None:
        """A container started now (nanoseconds since the epoch), whatever its runtime's file says of an earlier start."""
        if container_id in self._retry_at:
            self._retry_at[container_id] = 0.0
        found = self.of(container_id)
        self._known[container_id] = found._replace(container=msgspec.structs.replace(found.container, started_at=time_text(moment)))

    def removed(self, key: int) -> str | None:
        """A cgroup was removed. Returns the container whose own it was."""
        place = self._cgroups.place_of(key) if self._cgroups.is_known(key) else None
        self._cgroups.forget(key)
        if place is None or not place.is_top or place.container_id is None:
            return None
        self._gone[place.container_id] = None
        if len(self._gone) > GONE:
            gone, _ = self._gone.popitem(last=False)
            self._drop(gone)
            self._pod_uids.pop(gone, None)
        return place.container_id

    def of(self, container_id: str | None) -> Container:
        """The objects that events carry; looked for again now and then while no file describes the container."""
        if container_id is None:
            return HOST
        found = self._known.get(container_id)
        if found is not None and (container_id not in self._retry_at or self._clock() < self._retry_at[container_id]):
            return found if self.feed is None or self._fed.get(container_id) == self.feed.version else self._with_feed(container_id, found)
        return self._looked_for(container_id, found)

    def is_described(self, container_id: str, *, look: bool = False) -> bool:
        """Whether a file describes the container; `look`: for one that rules wait for, look again soon."""
        if look and container_id in self._retry_at:
            self._retry_at[container_id] = min(self._retry_at[container_id], self._looked_at.get(container_id, 0.0) + SOON_SECONDS)
        self.of(container_id)
        return container_id not in self._retry_at

    def may_be_described(self, container_id: str) -> bool:
        """Whether a file that describes the container may still appear: runtimes write it about when they start one."""
        since = self._since.get(container_id)
        return since is not None and self._clock() - since < LATE_SECONDS and self.runtimes.are_here()

    def _with_feed(self, container_id: str, found: Container) -> Container:
        """The container, with what the feed says of its pod by now."""
        uid = found.pod.uid  # type: ignore[attr-defined]
        facts = self.feed.pod(uid) if self.feed is not None and uid is not None else None
        if facts is not None:
            found = found._replace(pod=msgspec.structs.replace(found.pod, **facts.told()))
        self._known[container_id] = found
        self._fed[container_id] = self.feed.version if self.feed is not None else 0
        return found

    def _drop(self, container_id: str) -> None:
        for held in (self._known, self._retry_at, self._since, self._looked_at, self._fed):
            held.pop(container_id, None)

    def _looked_for(self, container_id: str, before: Container | None) -> Container:
        pod_uid = self._pod_uids.get(container_id)
        found = self.runtimes.find(container_id, pod_uid)
        if found is None:
            self._looked_at[container_id] = now = self._clock()
            self._retry_at[container_id] = now + RETRY_SECONDS
            self._since.setdefault(container_id, now)
            found = Container(_Container(id=container_id, resolved=False), _Pod(uid=pod_uid))
        else:
            for held in (self._retry_at, self._since, self._looked_at):
                held.pop(container_id, None)
        started_at = before.container.started_at if before else None  # type: ignore[attr-defined]
        if started_at:
            found = found._replace(container=msgspec.structs.replace(found.container, started_at=started_at))
        self._known[container_id] = found
        self._known.move_to_end(container_id)
        if len(self._known) > CONTAINERS:
            self._drop(next(iter(self._known)))
        return self._with_feed(container_id, found) if self.feed is not None else found
