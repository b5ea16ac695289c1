"""The object `process` of events: each of its fields is made of the process's image when somebody reads it, and then kept."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from watchkeeper_detection.event import Filled
from watchkeeper_detection.logs.kernel_event import command_line
from watchkeeper_detection.logs.provider import time_text
from watchkeeper_detection.record_types import record_type
from watchkeeper_sensor.kernel import records
from watchkeeper_sensor.names import capability_names, device_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchkeeper_sensor.process import Host, Image

NAMESPACES = ("mount", "process", "network", "user", "uts", "ipc", "cgroup", "time")
HOST_NAMESPACES = ("mount", "process", "network", "user", "ipc")
CAPABILITY_SETS = ("effective", "permitted", "inheritable", "ambient", "bounding")

_Process = record_type("process")
_BRANCHES: dict[str, Any] = {
    name: type(getattr(_Process(), name)) for name in ("capabilities", "namespaces", "host_namespaces", "parent", "ancestors", "stdin", "stdout", "stderr")
}
EMPTY = {name: branch() for name, branch in _BRANCHES.items()}


class ProcessView:
    """Has every field of the root `process`. What comes late is set where it is known."""

    exe_hash: str | None

    def __init__(self, image: Image, host: Host) -> None:
        self.image = image
        self.host = host
        self.thread_id = image.process_id

    def of_thread(self, thread_id: int) -> ProcessView:
        """The same process, of which another thread acted."""
        other = object.__new__(ProcessView)
        other.__dict__.update(self.__dict__, thread_id=thread_id)
        return other

    def whole(self) -> msgspec.Struct:
        """All fields, as a recording holds them."""
        return _Process(**{field.name: getattr(self, field.name) for field in msgspec.structs.fields(_Process)})


@lru_cache(maxsize=512)
def _line(args: tuple[str, ...]) -> str | None:
    return command_line([*args])


def _same(name: str) -> Callable[[Any], Any]:
    return lambda view: getattr(view.image, name)


def _of_file(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def field(view: Any) -> Any:
        identity = view.image.exe_identity
        return None if identity is None or not identity.flags & records.KNOWN else read(identity)

    return field


def _of_credentials(name: str) -> Callable[[Any], Any]:
    return lambda view: None if view.image.credentials is None else getattr(view.image.credentials, name)


def _capabilities(view: Any) -> Any:
    held = view.image.credentials
    if held is None:
        return EMPTY["capabilities"]
    return _BRANCHES["capabilities"](**{name: capability_names(getattr(held, f"capabilities_{name}")) for name in CAPABILITY_SETS})


def _user(view: Any) -> str | None:
    image = view.image
    found: str | None = view.host.users.get(view.uid) if image.container_id is None else None
    return found


def _namespaces(view: Any) -> Any:
    inodes = view.image.namespaces
    if not inodes:
        return EMPTY["namespaces"]
    return _BRANCHES["namespaces"](**{name: inode or None for name, inode in zip(NAMESPACES, inodes, strict=True)})


def _host_namespaces(view: Any) -> Any:
    inodes = view.image.namespaces
    if not inodes:
        return EMPTY["host_namespaces"]
    pairs = zip(NAMESPACES, inodes, view.host.namespaces, strict=True)
    return _BRANCHES["host_namespaces"](**{name: mine == its for name, mine, its in pairs if name in HOST_NAMESPACES and mine and its})


def _stdio(name: str, number: int) -> Callable[[Any], Any]:
    def field(view: Any) -> Any:
        if number >= len(view.image.stdio):
            return EMPTY[name]
        kind, address, port = view.image.stdio[number]
        return _BRANCHES[name](type=kind, remote_ip=address, remote_port=port)

    return field


def _root(view: Any) -> str | None:
    """As /proc says it while the process runs."""
    from watchkeeper_sensor.proc import root_of  # noqa: PLC0415 (read seldom)

    return root_of(view.image)


def _parent(view: Any) -> Any:
    if not view.image.lineage:
        return EMPTY["parent"]
    parent = view.image.lineage[0]
    return _BRANCHES["parent"](
        id=parent.id,
        process_id=parent.process_id,
        exe=parent.exe,
        exe_inode=parent.exe_inode,
        name=parent.name,
        args=parent.args,
        command_line=_line(tuple(parent.args)),
        uid=parent.uid,
        tty=parent.tty,
        container_id=parent.container_id,
    )


def _ancestors(view: Any) -> Any:
    lineage = view.image.lineage
    return _BRANCHES["ancestors"](
        exes=[one.exe or "" for one in lineage],
        names=[one.name or "" for one in lineage],
        ids=[one.id for one in lineage],
        complete=view.image.lineage_complete,
    )


AS_IT_IS = {
    **{name: name for name in ("id", "process_id", "container_process_id", "exe", "name", "args", "args_count", "args_truncated", "cwd", "login_uid")},
    **{name: name for name in ("tty", "no_new_privileges", "seccomp", "entered_container")},
    "env": "environment",
    "session_id": "session",
    "is_container_entry": "container_entry",
}
"""Fields that the image holds as they are → its attribute."""

READERS: dict[str, Callable[[Any], Any]] = {
    **{name: _same(attribute) for name, attribute in AS_IT_IS.items()},
    "uid": lambda view: view.image.uid if view.image.credentials is None else view.image.credentials.uid,
    **{name: _of_credentials(name) for name in ("euid", "suid", "fsuid", "gid", "egid", "sgid")},
    "command_line": lambda view: _line(tuple(view.image.args)),
    "cgroup_id": lambda view: view.image.cgroup or None,
    "started_at": lambda view: time_text(view.image.start + view.host.clock.boot_time_ns) if view.host.clock is not None else None,
    "cgroup_path": lambda view: view.host.cgroup_path(view.image.cgroup) if view.host.cgroup_path is not None and view.image.cgroup else None,
    "root_path": _root,
    "exe_changed_at": _of_file(lambda identity: time_text(identity.changed_at)),
    "exe_inode": _of_file(lambda identity: identity.inode),
    "exe_device": _of_file(lambda identity: device_name(identity.device)),
    "exe_upper_layer": _of_file(lambda identity: bool(identity.flags & records.UPPER)),
    "exe_memfd": _of_file(lambda identity: bool(identity.flags & records.MEMFD)),
    "exe_unlinked": _of_file(lambda identity: bool(identity.flags & records.UNLINKED)),
    "exe_setuid": _of_file(lambda identity: bool(identity.mode & 0o4000)),
    "exe_setgid": _of_file(lambda identity: bool(identity.mode & 0o2000)),
    "exe_owner_uid": _of_file(lambda identity: identity.owner_uid),
    "user": _user,
    "capabilities": _capabilities,
    "namespaces": _namespaces,
    "host_namespaces": _host_namespaces,
    "stdin": _stdio("stdin", 0),
    "stdout": _stdio("stdout", 1),
    "stderr": _stdio("stderr", 2),
    "parent": _parent,
    "ancestors": _ancestors,
}
for _field in msgspec.structs.fields(_Process):
    if _field.name != "thread_id":
        setattr(ProcessView, _field.name, Filled(_field.name, READERS[_field.name]) if _field.name in READERS else None)
