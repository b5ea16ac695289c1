"""Which containers run: those with a process. Processes of a container are told apart from its start by their exec.

A runtime's own first stage forks in the container's cgroup before the program is there, so a container has started at the first exec in it, and
has stopped when its last process is gone or its cgroup is removed.
"""

from __future__ import annotations

from itertools import islice

from watchkeeper_sensor.containers.cgroups import HIERARCHY_SHIFT

Key = tuple[int, int]  # process id, start


class Running:
    """Processes by container; as many as the process tree tells of."""

    def __init__(self) -> None:
        self._members: dict[str, set[Key]] = {}
        self._started: dict[str, int] = {}  # container → number of the hierarchy that its processes are known by

    def __len__(self) -> int:
        return len(self._started)

    def members(self, container_id: str, most: int) -> list[Key]:
        """Some of the processes that a container has now."""
        return list(islice(self._members.get(container_id, ()), most))

    def has_started(self, container_id: str) -> bool:
        """Whether a program runs in the container, or ran until now."""
        return container_id in self._started

    def joins(self, container_id: str | None, process: Key) -> None:
        """A process is in a container: forked, moved or found there."""
        if container_id is not None:
            self._members.setdefault(container_id, set()).add(process)

    def starts(self, container_id: str | None, cgroup_key: int) -> bool:
        """A process of a container runs a program; True where that is its start."""
        if container_id is None or container_id in self._started:
            return False
        self._started[container_id] = cgroup_key >> HIERARCHY_SHIFT
        return True

    def leaves(self, container_id: str | None, process: Key) -> bool:
        """A process ended or was moved elsewhere; True where the container stops by that."""
        members = self._members.get(container_id or "")
        if container_id is None or members is None:
            return False
        members.discard(process)
        return not members and self._stops(container_id)

    def removed(self, container_id: str, cgroup_key: int) -> bool:
        """Its own cgroup is gone; True where it was running until now, as far as we knew. One of a hierarchy that does not decide says nothing."""
        known_by = self._started.get(container_id)
        return known_by in (None, cgroup_key >> HIERARCHY_SHIFT) and self._stops(container_id)

    def _stops(self, container_id: str) -> bool:
        self._members.pop(container_id, None)
        return self._started.pop(container_id, None) is not None
