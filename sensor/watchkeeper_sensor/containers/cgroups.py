"""Cgroups: from a key, which the kernel's programs give, to a path, and from a path to a container's id.

The key is the id of the v2 cgroup where that is not the root's, else of the first v1 hierarchy (memory, devices, pids, cpu) in which the
process is not in the root: task_container_key in sensor/bpf/task.bpf.h computes the same. An id is the inode number of the cgroup's folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

UNIFIED = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
CONTROLLERS = ("memory", "devices", "pids", "cpu")
CONTAINER = re.compile(r"(?:^|[/:-])(?P<id>[0-9a-f]{64})(?:\.scope)?(?=/|$)")


def container_id_in(path: str) -> str | None:
    """Id of the innermost container that a cgroup's path names, as the systemd and cgroupfs drivers of all runtimes write it."""
    found = None
    for match in CONTAINER.finditer(path):
        found = match["id"]
    return found


def hierarchies() -> dict[str, Path]:
    """Controller (empty for v2) → where its hierarchy is mounted."""
    found = {}
    for path in UNIFIED:
        if Path(path, "cgroup.controllers").exists():
            found[""] = Path(path)
            break
    for name in CONTROLLERS:
        folder = Path("/sys/fs/cgroup", name)
        if folder.is_dir() and "" in found and folder != found[""] / name and not (folder / "cgroup.controllers").exists():
            found[name] = folder
    return found


def memberships(process_id: int) -> dict[str, str]:
    """Controller (empty for v2) → path of the process's cgroup in it. Raises OSError when the process is gone."""
    found = {}
    for line in Path(f"/proc/{process_id}/cgroup").read_text(errors="surrogateescape").splitlines():
        number, controllers, path = line.split(":", 2)
        for name in controllers.split(",") if number != "0" else ("",):
            found[name] = path
    return found


def cgroup_key_of(process_id: int, mounted: dict[str, Path] | None = None) -> int:
    """Container key of a running process, 0 when it is in no cgroup of its own or gone."""
    mounted = hierarchies() if mounted is None else mounted
    try:
        paths = memberships(process_id)
        for name in ("", *CONTROLLERS):
            path = paths.get(name, "/")
            if path != "/" and name in mounted:
                return os.stat(f"{mounted[name]}{path}").st_ino  # noqa: PTH116 (a path of bytes that a Path would normalise)
    except OSError:
        return 0
    return 0


class Cgroups:
    """Paths by key."""

    def __init__(self) -> None:
        self.mounted = hierarchies()
        self._paths: dict[int, str] = {}

    def path_of(self, key: int, process_id: int | None = None) -> str | None:
        """Path of a cgroup; found by a process that is in it, else by walking the hierarchies. None when it is gone."""
        if key not in self._paths and process_id is not None:
            self._of_process(process_id)
        if key not in self._paths:
            self.walk()
        return self._paths.get(key)

    def _of_process(self, process_id: int) -> None:
        try:
            paths = memberships(process_id)
        except OSError:
            return
        for name, folder in self.mounted.items():
            path = paths.get(name, "/")
            try:
                self._paths[os.stat(f"{folder}{path}").st_ino] = path  # noqa: PTH116
            except OSError:
                continue

    def walk(self) -> None:
        """Read all hierarchies anew."""
        self._paths.clear()
        for folder in self.mounted.values():
            for path, _, _ in os.walk(folder):
                try:
                    self._paths.setdefault(os.stat(path).st_ino, path.removeprefix(str(folder)) or "/")  # noqa: PTH116
                except OSError:
                    continue
