"""What every event of the sensor has: its record, its process as it was, and the fields that are read from the header."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.event import Event
from watchkeeper_detection.logs import kernel_event
from watchkeeper_detection.logs.kernel_event import is_drift
from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.decoding.likeness import likeness_of
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.syscalls import SYSCALL_NAMES
from watchkeeper_sensor.names import error_name

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping

    from watchkeeper_sensor.decoding.likeness import Bytes
    from watchkeeper_sensor.process import Image
    from watchkeeper_sensor.process_view import ProcessView
    from watchkeeper_sensor.surroundings import Surroundings

    Change = Callable[[tuple[Any, ...], bytes, Image], dict[str, Any] | None]
    """Header and record, image → attributes of the image that are other now; None where nothing happened that is worth an event."""

_Syscall: Any = record_type("syscall")
UNIQUE = frozenset({"process.id", "process.process_id", "process.container_process_id", "process.cgroup_id", "process.parent.id", "process.parent.process_id"})
UNIQUE |= {"container.id", "container.name", "pod.name", "pod.uid"}
"""Fields by which processes and containers are told apart."""
SEQUENCE = (1 << 48) - 1


def _observed_at(event: Any) -> int:
    moment: int = event.header[4] + event.around.boot_time_ns
    return moment


def _id(event: Any) -> str:
    number = event.header[3]
    return f"{event.around.host.boot_id[:8]}:{number >> 48}:{number & SEQUENCE}"


def _process(event: Any) -> ProcessView:
    view: ProcessView = event.image.view(event.around.host)
    if event.around.hashes is not None and view.exe_hash is None:
        view.exe_hash = event.around.hashes.known(event.image.exe_identity)  # where it is not known yet, it comes late
    return view if event.header[8] == view.thread_id else view.of_thread(event.header[8])


def _container(event: Any) -> msgspec.Struct:
    image: Image = event.image
    found: msgspec.Struct = event.around.containers.of(image.container_id).container
    if image.container_id is None:
        return found
    return msgspec.structs.replace(found, drift=is_drift(image.container_id, event.process), cgroup_id=event.header[5])


def _syscall(event: Any) -> msgspec.Struct:
    flags, number, result = event.header[1], event.header[9], event.header[10]
    call: msgspec.Struct = _Syscall(
        name=SYSCALL_NAMES.get(number), compat=bool(flags & records.COMPAT), io_uring=bool(flags & records.IO_URING), error=error_name(result)
    )
    return call


COMMON = {
    **kernel_event.fills(_observed_at, derived={"id": _id}),
    "process": _process,
    "container": _container,
    "pod": lambda event: event.around.containers.of(event.image.container_id).pod,
    "node": lambda event: event.around.node,
    "syscall": _syscall,
}
"""Lazy attributes of every kernel event."""


class KernelEvent(Event):
    """An event made of a record. `image` is the process as it was at that moment; `header` the record's header (records.HEADER_FIELDS)."""

    kind = ""
    source = kernel_event.SOURCE
    stream = "kernel"
    offset = -1
    fills: Mapping[str, Callable[[Any], Any]] = COMMON

    record: bytes
    header: tuple[Any, ...]
    image: Image
    before: Image  # of an exec, and of what else changes the image: the process until then
    around: Surroundings
    told: Bytes | None = None  # what of the record its fields are made of, where that is said

    @classmethod
    def repeats(cls, path: str) -> bool:
        return cls.told is not None and path not in cls.told.only and path not in UNIQUE and likeness_of(cls.told, [path]) is not None

    @classmethod
    def likeness(cls, paths: Iterable[str]) -> Callable[[Any], Hashable | None] | None:
        return None if cls.told is None else likeness_of(cls.told, paths)

    new = staticmethod(object.__new__)


def kind(name: str, fills: Mapping[str, Callable[[Any], Any]], told: Bytes | None = None) -> type[KernelEvent]:
    """Class of the events of one kind, with the lazy objects that only this kind has."""
    words = "".join(word.capitalize() for word in name.replace(".", "_").split("_"))
    return type(f"{words}Event", (KernelEvent,), {"kind": name, "fills": {**COMMON, **fills}, "told": told})
