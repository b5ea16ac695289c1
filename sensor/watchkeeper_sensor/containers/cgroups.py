"""Cgroups: from a key, which the kernel's programs give, to the container and pod that it belongs to.

The key is the id of the v2 cgroup where that is not the root's, else of the first v1 hierarchy (memory, devices, pids, cpu) in which the
process is not in the root, with the hierarchy's number in the top byte: task_container_key in sensor/bpf/task.bpf.h computes the same. An id
is the inode number of the cgroup's folder, and unique in one hierarchy alone.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict, deque
from pathlib import Path
from typing import TYPE_CHECKING

from watchkeeper_sensor.containers.naming import PARTS, Place, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

UNIFIED = ""
CONTROLLERS = (UNIFIED, "memory", "devices", "pids", "cpu")
"""By the number that a key holds; v2 has no controller's name."""
HIERARCHY_SHIFT = 56
INODE_MASK = (1 << HIERARCHY_SHIFT) - 1

KEYS = 65_536  # held at most
PATHS = 8192  # whose path is held, too
REMOVED = 4096  # keys of removed cgroups held, for records that are still on their way
ROOT_INODE = 1  # of a hierarchy; another one is what a cgroup namespace shows as the root
UNKNOWN_SECONDS = 2.0  # how long a key that was not found is not looked for again
UNKNOWN_KEYS = 4096
WALK_SECONDS = 1.0  # between two walks
WALK_FOLDERS = 10_000  # of one walk, shallow ones first: containers lie within six levels


def hierarchies(mounts: str | None = None) -> dict[str, Path]:
    """Controller (empty for v2) → where its hierarchy is mounted: the whole where it is somewhere (the host's folder in a container), else what there is.

    `mounts`: text of /proc/self/mountinfo.
    """
    found: dict[str, Path] = {}
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape") if mounts is None else mounts
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(" "), after.split(" ")
        if len(words) < 5 or len(kind) < 3 or words[3].replace("/..", "") not in ("", "/"):  # a part below what our cgroup namespace shows
            continue
        names = [UNIFIED] if kind[0] == "cgroup2" else kind[2].split(",") if kind[0] == "cgroup" else []
        for name in names:
            if name in CONTROLLERS and (name not in found or (_inode(found[name]) != ROOT_INODE == _inode(Path(words[4])))):
                found[name] = Path(words[4])
    return found


def memberships(process_id: int) -> dict[str, str]:
    """Controller (empty for v2) → path of the process's cgroup in it. Raises OSError when the process is gone."""
    found = {}
    for line in Path(f"/proc/{process_id}/cgroup").read_text(errors="surrogateescape").splitlines():
        number, controllers, path = line.split(":", 2)
        for name in controllers.split(",") if number != "0" else (UNIFIED,):
            found[name] = path
    return found


def key_of(folder: str, controller: str) -> int:
    """Key of a cgroup by its folder. Raises OSError when it is gone."""
    return os.stat(folder).st_ino | CONTROLLERS.index(controller) << HIERARCHY_SHIFT  # noqa: PTH116 (a path of bytes that a Path would normalise)


def _inode(folder: Path) -> int:
    """0 for what is not there."""
    try:
        return folder.stat().st_ino
    except (OSError, ValueError):
        return 0


def cgroup_key_of(process_id: int, mounted: Mapping[str, Path] | None = None) -> int:
    """Container key of a running process; 0 when it is in no cgroup of its own, gone, or its path can't be seen from this cgroup namespace."""
    mounted = hierarchies() if mounted is None else mounted
    try:
        paths = memberships(process_id)
        for name in CONTROLLERS:
            path = paths.get(name, "/")
            if path != "/" and name in mounted:
                return 0 if path.startswith("/..") else key_of(f"{mounted[name]}{path}", name)
    except OSError:
        return 0
    return 0


def host_containers() -> frozenset[str]:
    """Ids of containers that the host's first process is in: a node that is a container itself."""
    try:
        paths = memberships(1)
    except OSError:
        return frozenset()
    found: set[str] = set()
    for path in paths.values():
        while (place := place_of(path, ignored=frozenset(found))).container_id:
            found.add(place.container_id)
    return frozenset(found)


class Cgroups:
    """Places by key: as the kernel tells them when cgroups are made, and for older ones as /proc and the mounted hierarchies show them."""

    def __init__(self, mounted: Mapping[str, Path] | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.mounted = hierarchies() if mounted is None else mounted
        self.ignored = host_containers()
        self.walks = 0
        self.walks_cut = 0  # walks that met more folders than they may
        self._clock = clock
        self._places: OrderedDict[int, Place] = OrderedDict()
        self._paths: OrderedDict[int, str] = OrderedDict()
        self._removed: OrderedDict[int, None] = OrderedDict()
        self._same: dict[Place, Place] = {}  # one object for all cgroups of a container
        self._above = {name for name, folder in self.mounted.items() if _inode(folder) != ROOT_INODE}  # hierarchies of which we see a part
        self._unknown: OrderedDict[int, float] = OrderedDict()  # key → when it may be looked for again
        self._walk_at = 0.0
        for name in self._above:  # what we see as the root is the host, whatever lies above
            self.learn(_inode(self.mounted[name]) | CONTROLLERS.index(name) << HIERARCHY_SHIFT, "/")

    def learn(self, key: int, path: str) -> Place:
        """A cgroup has this path from the root of its hierarchy."""
        place = place_of(path, ignored=self.ignored)
        if len(self._same) >= REMOVED:
            self._same.clear()
        self._places[key] = self._same.setdefault(place, place)
        self._paths[key] = path
        if len(self._paths) > PATHS:
            self._paths.popitem(last=False)
        self._removed.pop(key, None)
        self._unknown.pop(key, None)
        if len(self._places) > KEYS:
            self._places.popitem(last=False)
        return place

    def told(self, key: int, path: str) -> Place:
        """The same of a path that the kernel told: from the hierarchy's real root, also where a cgroup namespace shows us a part of it alone."""
        if self._above:
            self._look_above(key, path)
        return self.learn(key, path)

    def _look_above(self, key: int, path: str) -> None:
        """A node in a container: what of the kernel's path lies above the part that we see is the node itself."""
        name = CONTROLLERS[key >> HIERARCHY_SHIFT] if key >> HIERARCHY_SHIFT < len(CONTROLLERS) else None
        if name not in self._above:
            return
        parts = path.split("/")[1:PARTS]
        for number in range(1, len(parts)):
            if _inode(self.mounted[name] / "/".join(parts[number:])) == key & INODE_MASK:
                above = "/" + "/".join(parts[:number])
                while (place := place_of(above, ignored=self.ignored)).container_id:
                    self.ignored |= {place.container_id}
                self._above.discard(name)
                return

    def path_of(self, key: int) -> str | None:
        """Path of a cgroup from the root of its hierarchy, where it is one of those met last."""
        return self._paths.get(key)

    def forget(self, key: int) -> None:
        """A cgroup was removed. Records of it may still be on their way, so it is known for a while."""
        if key in self._places:
            self._removed[key] = None
        if len(self._removed) > REMOVED:
            self._places.pop(self._removed.popitem(last=False)[0], None)

    def place_of(self, key: int, process_id: int | None = None) -> Place | None:
        """Place of a cgroup; found by a process that is in it, else by walking the hierarchies. None when it is gone, or was not found lately."""
        place = self._places.get(key)
        if place is None and process_id is not None:
            self._look_at(process_id)
            place = self._places.get(key)
        if place is None and self._may_look_for(key):
            self._walk()
            place = self._places.get(key)
            if place is None:
                self._unknown[key] = self._clock() + UNKNOWN_SECONDS
                if len(self._unknown) > UNKNOWN_KEYS:
                    self._unknown.popitem(last=False)
        return place

    def is_known(self, key: int) -> bool:
        return key in self._places

    def _may_look_for(self, key: int) -> bool:
        now = self._clock()
        return now >= self._walk_at and now >= self._unknown.get(key, now)

    def _look_at(self, process_id: int) -> None:
        try:
            paths = memberships(process_id)
        except OSError:
            return
        for name, folder in self.mounted.items():
            path = paths.get(name, "/")
            if path != "/" and not path.startswith("/.."):  # of another cgroup namespace: not from the hierarchy's root
                try:
                    self.learn(key_of(f"{folder}{path}", name), path)
                except OSError:
                    continue

    def _walk(self) -> None:
        """Read all hierarchies anew, as far as one walk may."""
        self.walks += 1
        self._walk_at = self._clock() + WALK_SECONDS
        left = WALK_FOLDERS
        for name, folder in self.mounted.items():
            for path in _folders(str(folder)):
                if left <= 0:
                    self.walks_cut += 1
                    return
                left -= 1
                try:
                    self.learn(key_of(f"{folder}{path}", name), path)
                except OSError:
                    continue


def _folders(top: str) -> Iterator[str]:
    """Paths of all folders below `top`, without it, shallow ones first."""
    waiting = deque([""])
    while waiting:
        path = waiting.popleft()
        try:
            with os.scandir(f"{top}{path}") as entries:
                below = [f"{path}/{entry.name}" for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        yield from below
        waiting += below
