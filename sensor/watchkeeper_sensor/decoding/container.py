"""Cgroups and containers. What the kernel tells of cgroups becomes no event; it says which key is which container, and with the processes' own records
when a container starts and stops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.logs.kernel_event import is_drift
from watchkeeper_sensor.decoding.kernel_event import COMMON, KernelEvent, kind
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import NUMBERS, Layout

if TYPE_CHECKING:
    from watchkeeper_sensor.process import Image
    from watchkeeper_sensor.surroundings import Surroundings

CGROUP = Layout("cgroup_record", ("record", records.RECORD), "key Q, start Q, process I, path text")
MKDIR, ATTACH, RMDIR = (NUMBERS[f"cgroup.{act}"] for act in ("mkdir", "attach", "rmdir"))


def _container(event: Any) -> Any:
    found = event.around.containers.of(event.container_id).container
    return msgspec.structs.replace(found, drift=is_drift(event.container_id, event.process), cgroup_id=event.header[5])


def _fills(word: str) -> dict[str, Any]:
    return {
        "id": lambda event: f"{COMMON['id'](event)}:{word}",
        "container": _container,
        "pod": lambda event: event.around.containers.of(event.container_id).pod,
    }


STARTED = kind("container.start", _fills("start"))
"""`process` is the container's first program."""
STOPPED = kind("container.stop", _fills("stop"))
"""`process` is its last process, or who removed its cgroup."""


def container_event(cls: type[KernelEvent], header: tuple[Any, ...], record: bytes, around: Surroundings, image: Image, container_id: str) -> KernelEvent:
    """What a record of a process or a cgroup means for a container."""
    event: Any = KernelEvent.new(cls)
    event.header, event.record, event.around, event.image, event.container_id = header, record, around, image, container_id
    return event  # type: ignore[no-any-return]


LAYOUTS = (CGROUP,)

PROGRAMS = tuple(
    BpfProgram(name, "tracepoint", ("container.start", "container.stop"))
    for name in ("container_cgroup_made", "container_cgroup_entered", "container_cgroup_removed")
)

EVENTS: tuple[type[KernelEvent], ...] = ()
"""None comes from a record of its own."""
