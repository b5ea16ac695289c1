"""Namespaces that are entered or made, and root directories that change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.act_words import NAMESPACE_TYPES, namespace_types
from watchkeeper_sensor.decoding.kernel_event import COMMON, KernelEvent, kind
from watchkeeper_sensor.decoding.parts import OTHER_PROCESS, target_part
from watchkeeper_sensor.decoding.paths import normalised
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.kernel.programs import BpfProgram
from watchkeeper_sensor.kernel.records import Layout, text

if TYPE_CHECKING:
    from watchkeeper_sensor.process import Image
    from watchkeeper_sensor.surroundings import Surroundings

PROCESS, THREAD, SYSCALL, RESULT = 7, 8, 9, 10  # where the header holds them
PIVOT_ROOT = 155
MAKES_NAMESPACES = 0x7E020080  # CLONE_NEW* of a fork, whose flags come without the exit signal
NAMES = records.NAMESPACES.fields

NAMESPACES = Layout(
    "namespaces_record",
    ("record", records.RECORD),
    ("after", records.NAMESPACES),
    ("target", OTHER_PROCESS),
    "flags Q, entered I, process_of_children I, type text",
)
ROOT = Layout("root_record", ("record", records.RECORD), "path text, claimed text, directory text, old_root text, old_root_directory text, padding I")

_Setns: Any = record_type("setns")
_Unshare: Any = record_type("unshare")
_Chroot: Any = record_type("chroot")


def _entered(event: Any, made: Any) -> dict[str, int]:
    """Our word for each namespace that was entered → its inode number."""
    if made.entered:
        word = NAMESPACE_TYPES.get(text(event.record, made.type) or "")
        return {word: made.entered} if word else {}
    if event.header[RESULT] < 0:
        return dict.fromkeys(namespace_types(made.flags), 0)
    after = records.NAMESPACES.pick(made, "after")._replace(process=made.process_of_children)
    return {word: getattr(after, word) for word in namespace_types(made.flags)}


def _setns(event: Any) -> Any:
    made = NAMESPACES.read(event.record)
    entered = _entered(event, made)
    hosts = dict(zip(NAMES, event.around.host.namespaces, strict=True))
    is_host = any(inode and hosts[word] == inode for word, inode in entered.items())
    target = entered.get("mount") or next(iter(entered.values()), 0)
    container = None
    if made.target_process:
        container = event.around.containers.id_of(made.target_cgroup)
    elif target and not is_host:
        container = event.around.processes.container_of_namespace(target)
    return _Setns(types=list(entered), target_is_host=is_host, target_namespace=target or None, target_container_id=container)


def _setns_target(event: Any) -> Any:
    return target_part(event, OTHER_PROCESS.pick(NAMESPACES.read(event.record), "target"))


def _unshare(event: Any) -> Any:
    types = namespace_types(NAMESPACES.read(event.record).flags)
    return _Unshare(types=types, user_namespace="user" in types, by="unshare" if event.syscall.name == "unshare" else "clone")


def _cloned(event: Any) -> Any:
    types = namespace_types(records.FORK.read(event.record).clone_flags & MAKES_NAMESPACES)
    return _Unshare(types=types, user_namespace="user" in types, by="clone")


def _chroot(event: Any) -> Any:
    """The kernel's own word where chroot succeeded; pivot_root moves mounts, so that only the caller's text says where the new root was."""
    made = ROOT.read(event.record)
    pivots = event.header[SYSCALL] == PIVOT_ROOT
    return _Chroot(
        path=text(event.record, made.path) or normalised(text(event.record, made.directory), text(event.record, made.claimed)),
        by="pivot_root" if pivots else "chroot",
        old_root_path=normalised(text(event.record, made.old_root_directory), text(event.record, made.old_root)) if pivots else None,
    )


def _moved(header: tuple[Any, ...], record: bytes, image: Image) -> dict[str, Any]:  # noqa: ARG001 (the form of all changes)
    made = NAMESPACES.read(record)
    alone = header[THREAD] != header[PROCESS]
    return {} if alone or header[RESULT] < 0 else {"namespaces": tuple(records.NAMESPACES.pick(made, "after"))}


LAYOUTS = (NAMESPACES, ROOT)

PROGRAMS = (
    BpfProgram("isolation_setns", "call", ("isolation.setns",), calls=("setns",)),
    BpfProgram("isolation_unshare", "call", ("isolation.unshare",), calls=("unshare",)),
    BpfProgram("isolation_clone_denied", "call", ("isolation.unshare",), calls=("clone", "clone3")),
    BpfProgram("isolation_chroot", "call", ("isolation.chroot",), calls=("chroot", "pivot_root")),
)

EVENTS = (
    kind("isolation.setns", {"setns": _setns, "target_process": _setns_target}),
    kind("isolation.unshare", {"unshare": _unshare}),
    kind("isolation.chroot", {"chroot": _chroot}),
)

CHANGES = {"isolation.setns": _moved, "isolation.unshare": _moved}
"""Kind → what its record changes about the image of the process."""

CLONED = kind("isolation.unshare", {"unshare": _cloned, "id": lambda event: f"{COMMON['id'](event)}:unshare"})
"""Of a fork whose child got namespaces of its own."""


def cloned_event(header: tuple[Any, ...], record: bytes, around: Surroundings, image: Image) -> KernelEvent | None:
    """What the record of a fork means for namespaces; None where the child shares them all."""
    if not records.FORK.read(record).clone_flags & MAKES_NAMESPACES:
        return None
    event: Any = KernelEvent.new(CLONED)
    event.header, event.record, event.around, event.image = header, record, around, image
    return event  # type: ignore[no-any-return]
