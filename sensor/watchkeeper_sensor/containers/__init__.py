"""Containers: from the key of a cgroup to who runs in it.

`Containers.id_of` is asked for each new process and must be quick; `of` gives what rules read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.containers.cgroups import Cgroups, container_id_in

if TYPE_CHECKING:
    import msgspec

KEYS = 16_384


class Container(NamedTuple):
    """The objects `container` and `pod` of events; both empty for the host."""

    container: msgspec.Struct
    pod: msgspec.Struct


_Container: Any = record_type("container")
_Pod: Any = record_type("pod")
HOST = Container(_Container(), _Pod())


class Containers:
    """What is known of the containers of this host."""

    def __init__(self, cgroups: Cgroups) -> None:
        self._cgroups = cgroups
        self._ids: dict[int, str | None] = {}
        self._known: dict[str, Container] = {}

    def id_of(self, key: int, entry_process: int | None = None) -> str | None:
        """Container that a cgroup belongs to; None for the host. `entry_process` runs in it now, where that helps to find it."""
        if not key:
            return None
        if key not in self._ids:
            path = self._cgroups.path_of(key, entry_process)
            if path is None:
                return None  # not remembered: it may be found later
            if len(self._ids) >= KEYS:
                self._ids.clear()
            self._ids[key] = container_id_in(path)
        return self._ids[key]

    def of(self, container_id: str | None) -> Container:
        if container_id is None:
            return HOST
        found = self._known.get(container_id)
        if found is None:
            found = self._known[container_id] = Container(_Container(id=container_id, resolved=False), _Pod())
        return found
