"""What a container is and which pod it is of: from its runtime's files, which may appear after its first act, and from the cluster's feed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.fields import fields
from watchkeeper_sensor.late.source import GIVEN_UP, LATE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable

    from watchkeeper_sensor.containers import Containers
    from watchkeeper_sensor.late.feed import Feed
    from watchkeeper_sensor.surroundings import Surroundings

OF_FEED = frozenset({"pod.labels", "pod.annotations", "pod.ip", "pod.ips", "pod.service_account", "pod.owner_kind", "pod.owner_name", "pod.expected_commands"})
OF_FILES = frozenset(path for path, field in fields().items() if field.late and path.partition(".")[0] in ("container", "pod")) - OF_FEED
HOST_PATH = "file.host_path"
OF_MOUNTS = frozenset({HOST_PATH, "file.under_host_mount"})
"""Told by where the container's mounts come from."""
NODE = "node.labels"
PODS_GIVEN_UP = 4096  # pods that the feed did not tell in time


def container_of(event: Any) -> str | None:
    """Id of the container that an event is of."""
    made = event.__dict__
    image = made.get("image")
    found: str | None = made.get("container_id") or (image.container_id if image is not None else None)
    return found


def forget(event: Any, *names: str) -> None:
    """What the event holds under these names, and what was made of it, is made anew when it is read."""
    for name in (*names, "identity", "target", "about"):
        event.__dict__.pop(name, None)


def is_below(path: str, folder: str) -> bool:
    """Whether the path is the folder's, or in it."""
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


class ContainerSource:
    """Looks again for containers that events wait for."""

    paths = OF_FILES | OF_MOUNTS

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._wanted: set[str] = set()

    def awaits(self, event: Any, path: str) -> Hashable | None:  # noqa: ARG002 (one answer for all)
        container_id = container_of(event)
        if container_id is None or self._containers.is_described(container_id):
            return None
        if not self._containers.may_be_described(container_id):
            return GIVEN_UP
        self._wanted.add(container_id)
        return "container", container_id

    def settled(self) -> Iterable[Hashable]:
        found = [one for one in self._wanted if self._containers.is_described(one, look=True)]
        over = [one for one in self._wanted if not self._containers.may_be_described(one)]
        self._wanted.difference_update(found, over)  # those that are over go by the queue's own time
        return [("container", one) for one in found]

    def fill(self, event: Any, paths: Collection[str]) -> None:
        forget(event, "container", "pod", *(("file",) if OF_MOUNTS.intersection(paths) else ()))
        if HOST_PATH in paths and (found := self._host_path(event)) is not None:
            event.file.host_path = found

    def _host_path(self, event: Any) -> str | None:
        """Path on the host of the file that an event is about: on one of the container's mounts, the deepest one, or below its root."""
        path: str | None = event.file.path
        if path is None or not path.startswith("/"):
            return None
        found = self._containers.of(container_of(event))
        container: Any = found.container
        if container.id is None:
            return path if event.process.host_namespaces.mount else None
        mounts = zip(container.mount_targets or (), container.mount_sources or (), strict=False)
        target, source = max(((target, source) for target, source in mounts if is_below(path, target)), key=lambda one: len(one[0]), default=("/", found.root))
        if source is None:
            return None
        rest = path[len(target.rstrip("/")) :]
        return f"{source.rstrip('/')}{rest}" or "/"

    def close(self) -> None:
        self._wanted.clear()


class FeedSource:
    """What the feed says of pods and of the node; absent at once where there is no feed."""

    paths = OF_FEED | {NODE}

    def __init__(self, around: Surroundings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._around = around
        self._clock = clock
        self._version = 0
        self._wanted: dict[tuple[str, str], float] = {}  # (`pod`, uid), (`pod_of`, container) or (`node`, ``) → since when, in the order of asking
        self._given_up: dict[tuple[str, str], None] = {}

    def awaits(self, event: Any, path: str) -> Hashable | None:
        containers = self._around.containers
        feed = containers.feed
        if feed is None or not feed.is_there:
            return None
        if path == NODE:
            return None if feed.version else self._want("node", "")
        container_id = container_of(event)
        if container_id is None:
            return None
        uid = containers.of(container_id).pod.uid  # type: ignore[attr-defined]
        if uid is not None:
            return None if feed.pod(uid) is not None else self._want("pod", uid)
        if containers.is_described(container_id):  # of no pod
            return None
        return self._want("pod_of", container_id) if containers.may_be_described(container_id) else GIVEN_UP

    def _want(self, *key: str) -> Hashable:
        kind, name = key
        if (kind, name) in self._given_up:
            return GIVEN_UP
        self._wanted.setdefault((kind, name), self._clock())
        return kind, name

    def settled(self) -> Iterable[Hashable]:
        feed = self._around.containers.feed
        if feed is None:
            return ()
        feed.look()
        if feed.version != self._version:
            self._version = feed.version
            self._given_up.clear()
            node = feed.node()
            if node is not None:
                self._around.node = msgspec.structs.replace(self._around.node, **node.told())
        found = [key for key in self._wanted if self._is_told(key, feed)]
        for key in found:
            del self._wanted[key]
        self._give_up()
        return found

    def _is_told(self, key: tuple[str, str], feed: Feed) -> bool:
        kind, name = key
        if kind == "pod_of":
            return self._around.containers.is_described(name, look=True)
        return feed.pod(name) is not None if kind == "pod" else bool(feed.version)

    def _give_up(self) -> None:
        """What was asked for too long ago is not waited for again, until the feed changes."""
        now = self._clock()
        for key, since in list(self._wanted.items()):
            if now - since < LATE_SECONDS:
                break
            del self._wanted[key]
            if key[0] != "pod_of":
                self._given_up[key] = None
        while len(self._given_up) > PODS_GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]

    def fill(self, event: Any, paths: Collection[str]) -> None:
        forget(event, *(("node",) if NODE in paths else ()), *(("pod",) if OF_FEED.intersection(paths) else ()))

    def close(self) -> None:
        self._wanted.clear()
