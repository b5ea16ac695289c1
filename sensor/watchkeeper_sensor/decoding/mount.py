"""Mounts: made, moved, changed, prepared, undone."""

from __future__ import annotations

from typing import Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor import act_words as words
from watchkeeper_sensor.decoding.file import is_host_disk
from watchkeeper_sensor.decoding.kernel_event import kind
from watchkeeper_sensor.decoding.paths import normalised
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import NUMBERS, Layout, text
from watchkeeper_sensor.kernel.syscalls import SYSCALL_NUMBERS
from watchkeeper_sensor.names import device_name

KIND, SYSCALL, RESULT = 0, 9, 10  # where the header holds them
FOUND, BOUND = 1, 2  # enum mount_state
MS_RDONLY, MS_REMOUNT, MS_BIND = 0x1, 0x20, 0x1000
SB_RDONLY, MNT_READONLY = 0x1, 0x40
MOUNT_ATTR_RDONLY = 0x1
MOUNT_NAMESPACE = records.NAMESPACES.fields.index("mount")
MOUNT, MOVE, CLONE, CHANGE, PREPARE = (NUMBERS[f"mount.{word}"] for word in ("mount", "move", "clone", "change", "prepare"))
CALL, UMOUNT, MOVE_MOUNT, SETATTR, FSCONFIG, FSMOUNT = (
    SYSCALL_NUMBERS[name] for name in ("mount", "umount2", "move_mount", "mount_setattr", "fsconfig", "fsmount")
)
WITH_VALUE = (1, 3, 4)  # commands of fsconfig: FSCONFIG_SET_STRING, SET_PATH, SET_PATH_EMPTY

MOUNT_RECORD = Layout(
    "mount_record",
    ("record", records.RECORD),
    "flags Q, attributes Q, cleared Q, propagation Q, device I, system_flags I, mount_flags I, namespace I, state I, command I",
    "filesystem text, place text, target text, target_directory text, source text, source_directory text, type text, key text, options text, padding I",
)

_Mount: Any = record_type("mount")


def _named(names: dict[int, str], bits: int) -> list[str]:
    return [name for flag, name in names.items() if bits & flag]


def _flags(call: int, made: Any) -> list[str]:
    if call in (SETATTR, FSMOUNT):
        return _named(words.MOUNT_ATTRIBUTES, made.attributes)
    names = {CALL: words.MOUNT_FLAGS, UMOUNT: words.UNMOUNT_FLAGS, MOVE_MOUNT: words.MOVE_FLAGS}.get(call, words.OPEN_TREE_FLAGS)
    return _named(names, made.flags)


def _options(event: Any, made: Any) -> str | None:
    options, key = text(event.record, made.options), text(event.record, made.key)
    if event.header[SYSCALL] != FSCONFIG:
        return options
    return f"{key}={options or ''}" if key and made.command in WITH_VALUE else key


def _read_only(call: int, made: Any) -> bool | None:
    if made.state & FOUND and call != SETATTR:
        return bool(made.mount_flags & MNT_READONLY or made.system_flags & SB_RDONLY)
    if call == SETATTR:
        return True if made.attributes & MOUNT_ATTR_RDONLY else False if made.cleared & MOUNT_ATTR_RDONLY else None
    asks = call == CALL and (made.flags & MS_REMOUNT or not made.flags & (MS_BIND | sum(words.PROPAGATIONS)))
    return bool(made.flags & MS_RDONLY) if asks else None


def _source(event: Any, made: Any) -> str | None:
    """A path where one is meant, else what the caller wrote."""
    given = text(event.record, made.source)
    told = event.header[KIND]
    if told in (MOVE, CLONE) or (event.header[SYSCALL] == CALL and made.flags & MS_BIND):
        return normalised(text(event.record, made.source_directory), given)
    return given


def _is_confirmed(event: Any, made: Any) -> bool | None:
    if event.header[RESULT] < 0 or event.header[KIND] != MOUNT:
        return None
    claimed, found = text(event.record, made.type), text(event.record, made.filesystem)
    bound = made.flags & MS_BIND or event.header[SYSCALL] != CALL
    return bool(made.state & FOUND) and (bool(bound) or claimed is None or claimed.partition(".")[0] == found)


def _mount(event: Any) -> Any:
    """What a confirmed mount says is the kernel's; else the caller's texts are all there is."""
    made = MOUNT_RECORD.read(event.record)
    told, call = event.header[KIND], event.header[SYSCALL]
    confirmed = _is_confirmed(event, made)
    found = bool(made.state & FOUND) and confirmed is not False
    changes = made.flags if call == CALL and told == CHANGE else made.propagation if call == SETATTR else 0
    place = text(event.record, made.place) if found else None
    hosts = event.around.host.namespaces[MOUNT_NAMESPACE]
    is_new = told in (MOUNT, CLONE) or call == FSMOUNT
    return _Mount(
        source=_source(event, made),
        target=place or normalised(text(event.record, made.target_directory), text(event.record, made.target)),
        filesystem=(text(event.record, made.filesystem) if found or told == PREPARE else None) or text(event.record, made.type),
        flags=_flags(call, made),
        options=_options(event, made),
        bind=bool(made.state & BOUND or (call == CALL and made.flags & MS_BIND)) if is_new else None,
        read_only=_read_only(call, made),
        propagation=next((word for flag, word in words.PROPAGATIONS.items() if changes & flag), None),
        device=device_name(made.device) if found else None,
        is_host_disk=is_host_disk(made.device) if found else None,
        in_container_namespace=made.namespace != hosts and event.image.container_id is not None,
        confirmed=confirmed,
    )


LAYOUTS = (MOUNT_RECORD,)

PROGRAMS = (
    BpfProgram("mount_call", "call", ("mount.mount", "mount.move", "mount.change"), calls=("mount",)),
    BpfProgram("mount_unmount", "call", ("mount.unmount",), calls=("umount2",)),
    BpfProgram("mount_move", "call", ("mount.move", "mount.mount"), calls=("move_mount",)),
    BpfProgram("mount_clone", "call", ("mount.clone", "mount.mount"), calls=("open_tree", "open_tree_attr")),
    BpfProgram("mount_change", "call", ("mount.change",), calls=("mount_setattr",)),
    BpfProgram("mount_prepare", "call", ("mount.prepare",), calls=("fsopen", "fspick", "fsconfig", "fsmount")),
)

EVENTS = tuple(kind(f"mount.{word}", {"mount": _mount}) for word in ("mount", "unmount", "move", "clone", "change", "prepare"))
